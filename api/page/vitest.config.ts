import preact from "@preact/preset-vite";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [preact()],
  test: { environment: "happy-dom", setupFiles: ["src/test_setup.ts"], include: ["src/**/*.test.{ts,tsx}"] },
});
