declare module "*.css" {
  const text: string;
  export default text;
}

/** Tests read the page of all views as text. */
declare module "*?raw" {
  const text: string;
  export default text;
}
