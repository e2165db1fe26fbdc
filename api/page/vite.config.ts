import preact from "@preact/preset-vite";
import { defineConfig } from "vite";
import { VitePWA } from "vite-plugin-pwa";

export default defineConfig({
  plugins: [
    preact(),
    VitePWA({
      // Our own worker, src/offline/worker.ts: the plugin gives it the list of built files.
      strategies: "injectManifest",
      srcDir: "src/offline",
      filename: "worker.ts",
      injectRegister: false,
      injectManifest: { globPatterns: ["**/*.{js,mjs,css,html,svg,webmanifest}"] },
      manifest: {
        name: "Sylvigie : coupes rases",
        short_name: "Sylvigie",
        description: "Les coupes rases vues par satellite, à vérifier sur le terrain.",
        lang: "fr",
        start_url: "/",
        display: "standalone",
        background_color: "#f6f7f2",
        theme_color: "#1f4d36",
        icons: [{ src: "/icon.svg", sizes: "any", type: "image/svg+xml", purpose: "any" }],
      },
    }),
  ],
  build: {
    outDir: "../web",
    emptyOutDir: true,
    target: "es2022",
    sourcemap: false,
    // Nothing is put into the text of the page: the Content Security Policy forbids it.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { proxy: { "/api": "http://127.0.0.1:8000" } },
});
