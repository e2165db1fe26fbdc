import { render } from "preact";
import { App } from "./app";
import { followLinks } from "./navigation";
import { recognise } from "./session";
import "./style.css";
import { language } from "./words";

document.documentElement.lang = language.value;
followLinks();
void recognise();
render(<App />, document.getElementById("page") as HTMLElement);
if ("serviceWorker" in navigator && import.meta.env.PROD) {
  void navigator.serviceWorker.register("/worker.js", { scope: "/" });
}
