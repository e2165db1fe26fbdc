import { render } from "preact";
import { App } from "./app";
import { followLinks } from "./navigation";
import { watchOutbox } from "./offline/outbox";
import { register } from "./offline/registration";
import { recognise } from "./session";
import "./style.css";
import { language } from "./words";

document.documentElement.lang = language.value;
followLinks();
render(<App />, document.getElementById("page") as HTMLElement);
recognise()
  .then(watchOutbox)
  .catch((error: unknown) => console.error("The queue could not be read", error));
register().catch((error: unknown) => console.error("The page will not work without network", error));
