/** A password set anew, by a link. */
import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { ask } from "../server/client";
import { takeToken, useAct } from "./acting";
import { Done } from "./invitation";
import { Input, Problem } from "./parts";
import { t } from "./words";
import "./account.css";

export default function Room() {
  const token = useRef<string | null>(null);
  token.current ??= takeToken();
  const password = useSignal("");
  const done = useSignal(false);
  const { busy, problem, act } = useAct();

  if (done.value) return <Done said={t().wasSet} />;
  return (
    <section class="paper account">
      <h1>{t().reset}</h1>
      {token.current === "" ? <Problem said={t().noToken} /> : null}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          act(async () => {
            await ask("auth/resets/accept", {
              method: "POST",
              body: { token: token.current, password: password.value },
            });
            done.value = true;
          });
        }}
      >
        <Input
          label={t().passwordNew}
          value={password}
          type="password"
          autocomplete="new-password"
          minLength={12}
          maxLength={200}
        />
        <Problem said={problem.value} />
        <button type="submit" disabled={busy.value || token.current === ""}>
          {t().set}
        </button>
      </form>
    </section>
  );
}
