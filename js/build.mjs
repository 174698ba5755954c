// Bundles the entries, each into one self-contained file: anywidget loads a single blob, so no import may be left.
import { readFile } from "node:fs/promises";
import * as esbuild from "esbuild";

const watch = process.argv.includes("--watch");

// Each selector and variable has our prefix; in the bundle it is one character, which views/index.ts undoes.
const PREFIX = "attnwidget-";
const SHORT = "$";

/** `import css from "./root.css"` gives the stylesheet as a string; esbuild's own text loader would not shorten it. */
const cssAsText = {
  name: "css-as-text",
  setup(build) {
    build.onLoad({ filter: /\.css$/ }, async ({ path }) => {
      const source = await readFile(path, "utf8");
      const { code } = await esbuild.transform(source, { loader: "css", minify: !watch, sourcefile: path });
      if (code.includes(SHORT)) throw new Error(`${path} holds ${SHORT}, which stands for our prefix in the bundle`);
      return { contents: code.replaceAll(PREFIX, SHORT), loader: "text", watchFiles: [path] };
    });
  },
};

const shared = {
  outdir: "attnwidget/static",
  bundle: true,
  target: "es2022",
  charset: "utf8",
  minify: !watch,
  sourcemap: watch ? "inline" : false,
  legalComments: "none",
  logLevel: "info",
  plugins: [cssAsText],
};

const bundles = [
  { ...shared, entryPoints: { widget: "js/src/widget.ts" }, format: "esm" },
  { ...shared, entryPoints: { standalone: "js/src/standalone.ts", loader: "js/src/loader.ts" }, format: "iife" },
];

for (const bundle of bundles) {
  if (watch) await (await esbuild.context(bundle)).watch();
  else await esbuild.build(bundle);
}
