/** A guide: for volunteers, or for analysts. */
import type { RoomProps } from "../rooms";
import { bilingual } from "../words";
import { hasText, Text } from "./text";

const t = bilingual({
  fr: { none: "Il n'y a pas de guide de ce nom.", print: "Imprimer" },
  en: { none: "There is no guide of this name.", print: "Print" },
});

export default function Room({ params }: RoomProps) {
  const name = params.who ?? "";
  if (!hasText(name)) return <p class="paper">{t().none}</p>;
  return (
    <section class="paper">
      <Text name={name} />
      <button type="button" class="second" onClick={() => print()}>
        {t().print}
      </button>
    </section>
  );
}
