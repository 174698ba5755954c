/** The script that stands in an exported page: unpacks that of the views, which runs if the page's policy names it. */
import { inflate, taken } from "./packed.ts";

/** Pages that trust no text as a script trust what is made here; the hash in their policy says which text that may be. */
interface TrustedScripts {
  createPolicy(name: string, rules: { createScript: (code: string) => string }): { createScript(code: string): string };
}
const { trustedTypes } = globalThis as { trustedTypes?: TrustedScripts };
const policy = trustedTypes?.createPolicy("attnwidget", { createScript: (code) => code });

const place = document.querySelector("script[data-code]") ?? document.body;
inflate(taken(place)).then(
  (code) => {
    const script = document.createElement("script");
    const text = new TextDecoder().decode(code);
    script.text = policy ? policy.createScript(text) : text;
    place.replaceWith(script);
  },
  (error: unknown) => document.body.append(String(error)),
);
