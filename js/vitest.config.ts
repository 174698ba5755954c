import { defineConfig } from "vitest/config";

// A file that needs a document says so in its first line: `// @vitest-environment happy-dom`.
export default defineConfig({
  root: import.meta.dirname,
  test: {
    environment: "node",
    include: ["test/**/*.test.ts"],
    restoreMocks: true,
  },
});
