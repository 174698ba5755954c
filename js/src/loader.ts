/** The script that stands in an exported page: unpacks that of the views, which runs if the page's policy names it. */
import { bytesOf, inflate } from "./packed.ts";

const place = document.querySelector("script[data-code]");
inflate(bytesOf(place?.textContent ?? "")).then(
  (code) => {
    const script = document.createElement("script");
    script.textContent = new TextDecoder().decode(code);
    place?.replaceWith(script);
  },
  (error: unknown) => document.body.append(String(error)),
);
