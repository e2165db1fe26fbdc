/** What a volunteer can check on the ground, from what the alert meets or leaves open. Both languages, tested. */
import type { AlertProperties } from "./feature";

export type Check = { fr: string; en: string };

const ALWAYS: Check[] = [
  {
    fr: "Est-ce une coupe rase ? Photographiez la coupe d'ensemble, depuis le bord.",
    en: "Is it a clear-cut? Take a photo of the whole felling, from its edge.",
  },
  {
    fr: "Y a-t-il un panneau de chantier ? Photographiez ce qu'il dit.",
    en: "Is there a works sign? Take a photo of what it says.",
  },
];

/** The points to check, the most telling first. */
export function checksOf(told: AlertProperties): Check[] {
  const checks = [...ALWAYS];
  const open = new Set((told.criteria ?? []).filter((one) => one.met !== false).map((one) => one.code));
  const legal = new Set((told.legal_points ?? []).filter((one) => one.status === "to_check").map((one) => one.code));
  if (told.state === "provisional") {
    checks.push({
      fr: "Une seule image le montre : la coupe est-elle bien là ?",
      en: "One image alone shows it: is the felling really there?",
    });
  }
  if (told.cause !== null && !["harvest", "uncertain"].includes(told.cause)) {
    checks.push({
      fr: "La cause semble naturelle : souches coupées, ou arbres morts, brûlés, renversés ?",
      en: "The cause seems natural: cut stumps, or trees dead, burnt, thrown over?",
    });
  }
  if (open.has("steep_block")) {
    checks.push({
      fr: "Forte pente : ornières, érosion, terre dans les ruisseaux ?",
      en: "Steep slope: ruts, erosion, soil in the streams?",
    });
  }
  if (open.has("natura2000") || legal.has("L414-4")) {
    checks.push({
      fr: "Natura 2000 : habitats, mares, vieux arbres à cavités, espèces protégées touchées ?",
      en: "Natura 2000: habitats, ponds, old trees with cavities, protected species harmed?",
    });
  }
  if (legal.has("L124-6") || open.has("area")) {
    checks.push({
      fr: "Le peuplement se renouvelle-t-il ? Plants, semis, arbres laissés sur pied : combien, lesquels ?",
      en: "Is the stand renewed? Planted trees, seedlings, trees left standing: how many, which?",
    });
  }
  if (legal.has("R421-23")) {
    checks.push({
      fr: "Espace boisé classé : la mairie a-t-elle reçu une déclaration ?",
      en: "Classified woodland: did the town hall receive a declaration?",
    });
  }
  if (legal.has("L312-1") || legal.has("L312-9") || legal.has("L124-5")) {
    checks.push({
      fr: "Un plan de gestion ou une autorisation est-il affiché ou connu ?",
      en: "Is a management plan or an authorisation displayed or known?",
    });
  }
  checks.push({
    fr: "Cours d'eau ou zone humide traversés par les engins ?",
    en: "Watercourse or wetland crossed by machines?",
  });
  return checks;
}
