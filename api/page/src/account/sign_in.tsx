/** Signing in: by password, or at the association's own provider. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { loadSettings, settings } from "../map/basemaps";
import { go } from "../navigation";
import { flush } from "../offline/outbox";
import { askJson, ROOT } from "../server/client";
import { type Me, take } from "../session";
import { useAct } from "./acting";
import { Input, Problem } from "./parts";
import { t } from "./words";
import "./account.css";

export default function Room() {
  const email = useSignal("");
  const password = useSignal("");
  const { busy, problem, act } = useAct();
  useEffect(() => void loadSettings(), []);

  function signIn(): void {
    act(async () => {
      take(
        await askJson<Me>("auth/session", { method: "POST", body: { email: email.value, password: password.value } }),
      );
      void flush(true);
      go("/");
    });
  }
  return (
    <section class="paper account">
      <h1>{t().signIn}</h1>
      {settings.value?.accounts === false ? <p>{t().noAccounts}</p> : null}
      {settings.value?.openid ? (
        <a class="button" href={`${ROOT}/auth/oidc/start`}>
          {t().openid}
        </a>
      ) : null}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          signIn();
        }}
      >
        <Input label={t().email} value={email} type="email" autocomplete="username" />
        <Input label={t().password} value={password} type="password" autocomplete="current-password" maxLength={200} />
        <Problem said={problem.value} />
        <button type="submit" disabled={busy.value}>
          {t().signIn}
        </button>
      </form>
      <Forgotten />
    </section>
  );
}

function Forgotten() {
  const email = useSignal("");
  const sent = useSignal(false);
  const { busy, problem, act } = useAct();
  return (
    <details>
      <summary>{t().forgotten}</summary>
      <p class="muted">{t().forgottenHelp}</p>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          act(async () => {
            await askJson("auth/resets", { method: "POST", body: { email: email.value } });
            sent.value = true;
          });
        }}
      >
        <Input label={t().email} value={email} type="email" autocomplete="email" />
        <button type="submit" class="second" disabled={busy.value}>
          {t().sendLink}
        </button>
      </form>
      <p aria-live="polite">{sent.value ? t().linkSent : ""}</p>
      <Problem said={problem.value} />
    </details>
  );
}
