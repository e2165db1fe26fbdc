/** The texts of `docs/guide`, as they are written there: one source for the repository and the page. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { language } from "../words";
import "./about.css";

const TEXTS = import.meta.glob<string>("../../../../docs/guide/*.md", { query: "?raw", import: "default" });
const PICTURES = import.meta.glob<string>("../../../../docs/guide/pictures/*.png", {
  query: "?url",
  import: "default",
  eager: true,
});
const FOLDER = "../../../../docs/guide/";

/** Whether there is such a text. */
export function hasText(name: string): boolean {
  return `${FOLDER}${name}.fr.md` in TEXTS;
}

export function Text({ name }: { name: string }) {
  const html = useSignal<string>("");
  useEffect(() => {
    let left = false;
    const load = TEXTS[`${FOLDER}${name}.${language.value}.md`];
    if (load === undefined) return;
    // The reader of Markdown comes with the text.
    void Promise.all([load(), import("marked")]).then(async ([text, { marked }]) => {
      const placed = text.replaceAll(
        /\]\((pictures\/[^)]+)\)/g,
        (_, path: string) => `](${PICTURES[FOLDER + path] ?? ""})`,
      );
      const parsed = await marked.parse(placed);
      if (!left) html.value = parsed;
    });
    return () => {
      left = true;
    };
  }, [name, language.value]);
  // Our own text, from our own repository: nobody else writes into it.
  const made = html.value;
  const laid = (element: HTMLDivElement | null) => {
    if (element !== null) element.innerHTML = made;
  };
  return <div class="text" ref={laid} />;
}
