/** The method in plain words, for everybody. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { loadSettings, settings } from "../map/basemaps";
import { askJson } from "../server/client";
import { bilingual, number } from "../words";
import { Text } from "./text";

const t = bilingual({
  fr: {
    published: (n: string) => `${n} alertes publiées.`,
    some: (n: string) => `Plus de ${n} alertes publiées.`,
    map: "Les voir sur la carte",
    volunteer: "Guide du bénévole",
    analyst: "Guide de l'analyste",
    version: (version: string) => `Sylvigie ${version}, logiciel libre (Apache-2.0).`,
  },
  en: {
    published: (n: string) => `${n} published alerts.`,
    some: (n: string) => `More than ${n} published alerts.`,
    map: "See them on the map",
    volunteer: "Guide for volunteers",
    analyst: "Guide for analysts",
    version: (version: string) => `Sylvigie ${version}, free software (Apache-2.0).`,
  },
});
const MOST = 1000;

type Page = { features: unknown[]; links: { rel: string }[] };

export default function Room() {
  const published = useSignal<string | null>(null);
  useEffect(() => {
    void loadSettings();
    askJson<Page>(`collections/alerts/items?review=published&limit=${MOST}`).then(
      (page) => {
        const count = number(page.features.length);
        published.value = page.links.some((link) => link.rel === "next") ? t().some(count) : t().published(count);
      },
      // The method is worth reading without a count.
      () => undefined,
    );
  }, []);
  return (
    <section class="paper">
      <Text name="methode" />
      <p>
        <strong>{published.value}</strong> <a href="/?review=published">{t().map}</a>
      </p>
      <p>
        <a href="/guide/benevole">{t().volunteer}</a> · <a href="/guide/analyste">{t().analyst}</a>
      </p>
      <p class="muted">{settings.value === null ? "" : t().version(settings.value.version)}</p>
    </section>
  );
}
