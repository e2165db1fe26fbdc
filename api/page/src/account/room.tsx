/** One's account: who one is here, keys, notices. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { go } from "../navigation";
import { ask, askJson, type Schemas } from "../server/client";
import { me, recognise, signedIn } from "../session";
import { day, number } from "../words";
import { useAct } from "./acting";
import { Input, Problem } from "./parts";
import { t } from "./words";
import "./account.css";

export default function Room() {
  const { problem, act } = useAct();
  if (!signedIn()) {
    return (
      <section class="paper">
        <p>{t().notSignedIn}</p>
        <a class="button" href="/connexion">
          {t().signIn}
        </a>
      </section>
    );
  }
  const who = me.value;
  return (
    <section class="paper account">
      <h1>{t().account}</h1>
      <p>
        <strong>{who?.name}</strong>, {t().role[who?.role ?? "public"]}. {t().departements} :{" "}
        {who?.departements.join(", ") || t().all}.
      </p>
      <button
        type="button"
        class="second"
        onClick={() =>
          act(async () => {
            await ask("auth/session", { method: "DELETE" });
            await recognise();
            go("/");
          })
        }
      >
        {t().signOut}
      </button>
      <p class="muted">{t().queue}</p>
      <Problem said={problem.value} />
      <Subscriptions />
      <Keys />
    </section>
  );
}

function Keys() {
  const keys = useSignal<Schemas["KeyAnswer"][]>([]);
  const name = useSignal("");
  const made = useSignal<string | null>(null);
  const { busy, problem, act } = useAct();
  async function look(): Promise<void> {
    keys.value = (await askJson<Schemas["Keys"]>("auth/keys")).keys;
  }
  useEffect(() => act(look), []);
  return (
    <section>
      <h2>{t().keys}</h2>
      <p class="muted">{t().keysHelp}</p>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          act(async () => {
            const told = await askJson<Schemas["MadeKey"]>("auth/keys", { method: "POST", body: { name: name.value } });
            made.value = told.key;
            name.value = "";
            await look();
          });
        }}
      >
        <Input label={t().keyName} value={name} autocomplete="off" maxLength={64} />
        <button type="submit" class="second" disabled={busy.value}>
          {t().keyMake}
        </button>
      </form>
      {made.value === null ? null : (
        <p role="status">
          {t().keyShown} <code>{made.value}</code>
        </p>
      )}
      <Problem said={problem.value} />
      {keys.value.length === 0 ? <p class="muted">{t().none}</p> : null}
      <ul class="lines">
        {keys.value.map((key) => (
          <li key={key.id}>
            <span>
              {key.name} ·{" "}
              {key.revoked_at === null
                ? key.expires_at === null
                  ? ""
                  : t().keyUntil(day(key.expires_at))
                : t().keyEnded}
            </span>
            {key.revoked_at === null ? (
              <button
                type="button"
                class="second"
                onClick={() =>
                  act(async () => {
                    await ask(`auth/keys/${key.id}`, { method: "DELETE" });
                    await look();
                  })
                }
              >
                {t().end}
              </button>
            ) : null}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Subscriptions() {
  const all = useSignal<Schemas["SubscriptionInfo"][]>([]);
  const departements = useSignal("");
  const area = useSignal("");
  const abusive = useSignal(false);
  const { busy, problem, act } = useAct();
  async function look(): Promise<void> {
    all.value = await askJson<Schemas["SubscriptionInfo"][]>("subscriptions");
  }
  useEffect(() => act(look), []);
  async function subscribe(): Promise<void> {
    const body = {
      channel: "email",
      departements: departements.value
        .toUpperCase()
        .split(/[\s,;]+/)
        .filter(Boolean),
      ...(area.value === "" ? {} : { min_area_ha: Number(area.value) }),
      abusive_only: abusive.value,
    };
    await ask("subscriptions", { method: "POST", body });
    await look();
  }
  return (
    <section>
      <h2>{t().subscriptions}</h2>
      <p class="muted">{t().subscriptionsHelp}</p>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          act(subscribe);
        }}
      >
        <label class="input">
          {t().subDepartements}
          <input
            value={departements.value}
            onInput={(event) => {
              departements.value = event.currentTarget.value;
            }}
          />
        </label>
        <label class="input">
          {t().subArea}
          <input
            type="number"
            min={0}
            step={0.5}
            value={area.value}
            onInput={(event) => {
              area.value = event.currentTarget.value;
            }}
          />
        </label>
        <label class="tick">
          <input
            type="checkbox"
            checked={abusive.value}
            onChange={(event) => {
              abusive.value = event.currentTarget.checked;
            }}
          />
          {t().subAbusive}
        </label>
        <button type="submit" class="second" disabled={busy.value}>
          {t().subscribe}
        </button>
      </form>
      <Problem said={problem.value} />
      <ul class="lines">
        {all.value.map((one) => (
          <li key={one.subscription}>
            <span>
              {one.departements.join(", ") || t().all}
              {one.min_area_ha === null ? "" : ` · ≥ ${number(one.min_area_ha, 1)} ha`}
              {one.abusive_only ? ` · ${t().subAbusive}` : ""} · {one.address}
            </span>
            <button
              type="button"
              class="second"
              onClick={() =>
                act(async () => {
                  await ask(`subscriptions/${one.subscription}`, { method: "DELETE" });
                  await look();
                })
              }
            >
              {t().end}
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
