/** The script that stands in an exported page: unpacks that of the views, which runs if the page's policy names it. */
import { inflate, taken } from "./packed.ts";

const place = document.querySelector("script[data-code]") ?? document.body;
inflate(taken(place)).then(
  (code) => {
    const script = document.createElement("script");
    script.textContent = new TextDecoder().decode(code);
    place.replaceWith(script);
  },
  (error: unknown) => document.body.append(String(error)),
);
