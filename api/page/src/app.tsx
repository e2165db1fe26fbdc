/** The frame around the rooms: the bar, who one is, the room that the address names. */
import { useSignal, useSignalEffect } from "@preact/signals";
import type { ComponentType } from "preact";
import { place } from "./navigation";
import { Badge } from "./offline/badge";
import { update, updateReady } from "./offline/registration";
import { ROOMS, type RoomProps, roomAt } from "./rooms";
import { me, signedIn } from "./session";
import { bilingual, language, speak } from "./words";

const t = bilingual({
  fr: {
    bar: {
      map: "Carte",
      reports: "Mes fiches",
      review: "Revue",
      offline: "Terrain",
      administration: "Gestion",
      about: "Méthode",
    },
    skip: "Aller au contenu",
    signIn: "Se connecter",
    account: "Mon compte",
    other: "English",
    loading: "Chargement…",
    nothing: "Il n'y a rien à cette adresse.",
    failed: "Cette partie de la page n'a pas pu être chargée : vérifiez le réseau et réessayez.",
    toMap: "Voir la carte",
    newer: "Une nouvelle version de la page est prête.",
    update: "La charger",
  },
  en: {
    bar: {
      map: "Map",
      reports: "My reports",
      review: "Review",
      offline: "Field",
      administration: "Administration",
      about: "Method",
    },
    skip: "Skip to content",
    signIn: "Sign in",
    account: "My account",
    other: "Français",
    loading: "Loading…",
    nothing: "There is nothing at this address.",
    failed: "This part of the page could not be loaded: check the network and try again.",
    toMap: "See the map",
    newer: "A new version of the page is ready.",
    update: "Load it",
  },
});

export function App() {
  return (
    <>
      <a class="skip" href="#content">
        {t().skip}
      </a>
      <Bar />
      {updateReady.value ? (
        <p class="notice" role="status">
          {t().newer}{" "}
          <button type="button" class="second" onClick={update}>
            {t().update}
          </button>
        </p>
      ) : null}
      <main id="content" tabIndex={-1}>
        <Shown />
      </main>
    </>
  );
}

function Bar() {
  const here = roomAt(place.value.path)?.room;
  return (
    <header class="bar">
      <a class="brand" href="/">
        <img src="/icon.svg" alt="" width="28" height="28" />
        Sylvigie
      </a>
      <nav>
        {ROOMS.filter((room) => room.bar && (room.shown?.() ?? true)).map((room) => (
          <a key={room.pattern} href={room.pattern} aria-current={room === here ? "page" : undefined}>
            {t().bar[room.bar as keyof ReturnType<typeof t>["bar"]]}
          </a>
        ))}
      </nav>
      <div class="who">
        <Badge />
        <button
          type="button"
          class="quiet"
          lang={language.value === "fr" ? "en" : "fr"}
          onClick={() => speak(language.value === "fr" ? "en" : "fr")}
        >
          {t().other}
        </button>
        {signedIn() ? <a href="/compte">{me.value?.name ?? t().account}</a> : <a href="/connexion">{t().signIn}</a>}
      </div>
    </header>
  );
}

type Loaded = { pattern: string; Room: ComponentType<RoomProps> };

function Shown() {
  const loaded = useSignal<Loaded | "failed" | null>(null);
  useSignalEffect(() => {
    const found = roomAt(place.value.path);
    if (found === null) return;
    const { pattern, load } = found.room;
    const had = loaded.peek();
    if (had !== null && had !== "failed" && had.pattern === pattern) return;
    load().then(
      (module) => {
        // Who has gone on meanwhile is shown where they went.
        if (roomAt(place.peek().path)?.room.pattern === pattern) loaded.value = { pattern, Room: module.default };
      },
      () => {
        loaded.value = "failed";
      },
    );
  });
  const found = roomAt(place.value.path);
  if (found === null) {
    return (
      <section class="paper">
        <p>{t().nothing}</p>
        <a href="/">{t().toMap}</a>
      </section>
    );
  }
  const now = loaded.value;
  if (now === "failed")
    return (
      <p role="alert" class="paper">
        {t().failed}
      </p>
    );
  if (now === null || now.pattern !== found.room.pattern)
    return (
      <p class="paper" aria-live="polite">
        {t().loading}
      </p>
    );
  return <now.Room params={found.params} key={place.value.path} />;
}
