/** In the field: take an area along, see what is here and what waits. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { loadSettings } from "../map/basemaps";
import { NotReached } from "../server/client";
import { bilingual, day, number } from "../words";
import {
  type AreaRecord,
  areas,
  boxAround,
  leaveBehind,
  lookAtAreas,
  type Plan,
  planOf,
  stopTaking,
  takeAlong,
  type Wanted,
} from "./areas";
import { NoRoom } from "./database";
import { QueueList } from "./queue_list";
import "./offline.css";

const t = bilingual({
  fr: {
    title: "Sur le terrain",
    intro:
      "Prenez une zone avec vous : ses alertes, leurs images et la carte restent sur cet appareil et marchent sans réseau.",
    take: "Prendre une zone",
    kind: { departement: "Un département", circle: "Autour de moi", mine: "Mes alertes à visiter" },
    departement: "Numéro du département",
    radius: "Rayon (km)",
    withMap: "Avec le fond de carte IGN",
    measure: "Voir la taille",
    measuring: "Calcul…",
    size: (alerts: number, files: number, mb: string) => `${alerts} alertes, ${files} fichiers, environ ${mb} Mo`,
    nothing: "Aucune alerte dans cette zone.",
    download: "Télécharger",
    here: "Zones sur cet appareil",
    none: "Aucune zone.",
    state: { taking: "téléchargement…", stopped: "interrompu", ready: "complet" },
    progress: (here: number, files: number, mb: string) => `${here} sur ${files} fichiers, ${mb} Mo`,
    stop: "Arrêter",
    resume: "Reprendre",
    refresh: "Mettre à jour",
    remove: "Supprimer",
    removeSure: "Supprimer cette zone de l'appareil ?",
    queue: "File d'envoi",
    used: (mb: string, quota: string) => `Sylvigie occupe ${mb} Mo sur cet appareil (${quota} Mo permis).`,
    noPlace: "L'appareil ne donne pas sa position.",
    noNetwork: "Pas de réseau : réessayez quand il est là. Ce qui est déjà sur l'appareil reste.",
    noRoom: "L'appareil n'a plus de place : supprimez une zone, ou prenez-en une plus petite.",
  },
  en: {
    title: "In the field",
    intro: "Take an area with you: its alerts, their images and the map stay on this device and work without network.",
    take: "Take an area",
    kind: { departement: "A département", circle: "Around me", mine: "My alerts to visit" },
    departement: "Number of the département",
    radius: "Radius (km)",
    withMap: "With IGN's map",
    measure: "See the size",
    measuring: "Working it out…",
    size: (alerts: number, files: number, mb: string) => `${alerts} alerts, ${files} files, about ${mb} MB`,
    nothing: "No alert in this area.",
    download: "Download",
    here: "Areas on this device",
    none: "No area.",
    state: { taking: "downloading…", stopped: "stopped", ready: "complete" },
    progress: (here: number, files: number, mb: string) => `${here} of ${files} files, ${mb} MB`,
    stop: "Stop",
    resume: "Go on",
    refresh: "Bring up to date",
    remove: "Delete",
    removeSure: "Delete this area from the device?",
    queue: "Queue",
    used: (mb: string, quota: string) => `Sylvigie takes ${mb} MB of this device (${quota} MB allowed).`,
    noPlace: "The device does not give its place.",
    noNetwork: "No network: try again when there is one. What is on the device already stays.",
    noRoom: "The device has no room left: delete an area, or take a smaller one.",
  },
});

export default function Room() {
  useEffect(() => {
    void lookAtAreas();
    void loadSettings();
  }, []);
  return (
    <section class="paper field-room">
      <h1>{t().title}</h1>
      <p>{t().intro}</p>
      <Take />
      <h2>{t().here}</h2>
      <Areas />
      <h2>{t().queue}</h2>
      <QueueList />
      <Storage />
    </section>
  );
}

function sentence(error: unknown): string {
  if (error instanceof NotReached) return t().noNetwork;
  if (error instanceof NoRoom || (error instanceof DOMException && error.name === "QuotaExceededError"))
    return t().noRoom;
  return error instanceof Error ? error.message : String(error);
}

function Take() {
  const kind = useSignal<Wanted["kind"]>("departement");
  const departement = useSignal("");
  const km = useSignal(20);
  const withMap = useSignal(true);
  const planned = useSignal<{ wanted: Wanted; plan: Plan } | null>(null);
  const busy = useSignal(false);
  const problem = useSignal<string | null>(null);

  async function measure(): Promise<void> {
    busy.value = true;
    problem.value = null;
    planned.value = null;
    try {
      const wanted = await wantedOf(kind.value, departement.value, km.value, withMap.value);
      planned.value = { wanted, plan: await planOf(wanted) };
    } catch (error) {
      problem.value = error instanceof GeolocationPositionError ? t().noPlace : sentence(error);
    } finally {
      busy.value = false;
    }
  }

  async function download(): Promise<void> {
    const chosen = planned.value;
    if (chosen === null) return;
    planned.value = null;
    try {
      await takeAlong(chosen.wanted, chosen.plan);
    } catch (error) {
      problem.value = sentence(error);
    }
  }

  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void measure();
      }}
    >
      <fieldset>
        <legend>{t().take}</legend>
        <div class="choices">
          {(["departement", "circle", "mine"] as const).map((each) => (
            <label key={each} class={kind.value === each ? "choice chosen" : "choice"}>
              <input
                type="radio"
                name="kind"
                checked={kind.value === each}
                onChange={() => {
                  kind.value = each;
                  planned.value = null;
                }}
              />
              {t().kind[each]}
            </label>
          ))}
        </div>
        {kind.value === "departement" ? (
          <label>
            {t().departement}{" "}
            <input
              required
              size={4}
              pattern="[0-9][0-9AB]|97[1-6]"
              value={departement.value}
              onInput={(event) => {
                departement.value = event.currentTarget.value.toUpperCase();
              }}
            />
          </label>
        ) : null}
        {kind.value === "circle" ? (
          <label>
            {t().radius}{" "}
            <input
              type="number"
              min={1}
              max={100}
              value={km.value}
              onInput={(event) => {
                km.value = Number(event.currentTarget.value);
              }}
            />
          </label>
        ) : null}
        <label class="tick">
          <input
            type="checkbox"
            checked={withMap.value}
            onChange={(event) => {
              withMap.value = event.currentTarget.checked;
            }}
          />
          {t().withMap}
        </label>
        <button type="submit" class="second" disabled={busy.value}>
          {busy.value ? t().measuring : t().measure}
        </button>
      </fieldset>
      <div aria-live="polite">
        {planned.value === null ? null : planned.value.plan.features.length === 0 ? (
          <p>{t().nothing}</p>
        ) : (
          <p>
            {t().size(
              planned.value.plan.features.length,
              planned.value.plan.addresses.length,
              megabytes(planned.value.plan.bytes),
            )}{" "}
            <button type="button" onClick={() => void download()}>
              {t().download}
            </button>
          </p>
        )}
        {problem.value === null ? null : (
          <p class="problem" role="alert">
            {problem.value}
          </p>
        )}
      </div>
    </form>
  );
}

/** What is asked of the service for an area; a circle's middle is asked of the device. */
async function wantedOf(kind: Wanted["kind"], departement: string, km: number, withMap: boolean): Promise<Wanted> {
  if (kind === "mine") return { kind, name: t().kind.mine, query: "review=assigned", withMap };
  if (kind === "departement") return { kind, name: departement, query: `departement=${departement}`, withMap };
  const { coords } = await new Promise<GeolocationPosition>((resolve, reject) =>
    navigator.geolocation.getCurrentPosition(resolve, reject, { timeout: 20_000 }),
  );
  const circle: [number, number, number] = [coords.longitude, coords.latitude, km];
  const name = `${coords.latitude.toFixed(2)}, ${coords.longitude.toFixed(2)} ± ${km} km`;
  return { kind, name, query: `bbox=${boxAround(circle)}`, circle, withMap };
}

function Areas() {
  const problem = useSignal<string | null>(null);
  async function goOn(area: AreaRecord): Promise<void> {
    problem.value = null;
    try {
      await takeAlong(area, await planOf(area), area.id);
    } catch (error) {
      problem.value = sentence(error);
    }
  }
  if (areas.value.length === 0) return <p class="muted">{t().none}</p>;
  return (
    <>
      {problem.value === null ? null : (
        <p class="problem" role="alert">
          {problem.value}
        </p>
      )}
      <ul class="lines">
        {areas.value.map((area) => (
          <li key={area.id}>
            <span>
              <strong>
                {t().kind[area.kind]} {area.kind === "mine" ? "" : area.name}
              </strong>{" "}
              · {t().state[area.state]}
              <br />
              <span class="muted">
                {day(area.takenAt)} · {t().progress(area.here, area.files, megabytes(area.bytes))}
              </span>
              {area.state === "taking" ? <progress max={area.files} value={area.here} /> : null}
            </span>
            {area.state === "taking" ? (
              <button type="button" class="second" onClick={() => stopTaking(area.id)}>
                {t().stop}
              </button>
            ) : (
              <button type="button" class="second" onClick={() => void goOn(area)}>
                {area.state === "stopped" ? t().resume : t().refresh}
              </button>
            )}
            <button type="button" class="second" onClick={() => confirm(t().removeSure) && void leaveBehind(area.id)}>
              {t().remove}
            </button>
          </li>
        ))}
      </ul>
    </>
  );
}

function Storage() {
  const used = useSignal<StorageEstimate | null>(null);
  useEffect(() => {
    void navigator.storage?.estimate?.().then((estimate) => {
      used.value = estimate;
    });
  }, [areas.value]);
  if (used.value === null) return null;
  return <p class="muted">{t().used(megabytes(used.value.usage ?? 0), megabytes(used.value.quota ?? 0))}</p>;
}

function megabytes(bytes: number): string {
  return number(bytes / 1e6, bytes < 1e7 ? 1 : 0);
}
