"""What a notice says, in French and in English."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from api.features import UNCORRECTED_EN, UNCORRECTED_FR


@dataclass(frozen=True)
class Words:
    """The words of one language; in braces what is filled in."""

    decimal: str
    date: str
    one_alert: str
    many_alerts: str
    about_area: str
    abusive_count: str
    abusive_unknown: str
    departements: str
    departement_unknown: str
    commune_unknown: str
    listed: str
    others: str
    since: str
    seen: str
    interval_unknown: str
    criteria: str
    no_criterion: str
    criteria_undecided: str
    criteria_unknown: str
    abusive: str
    meaning: str
    way_out: str


FRENCH: Final = Words(
    decimal=",",
    date="%d/%m/%Y",
    one_alert="1 alerte nouvelle",
    many_alerts="{count} alertes nouvelles",
    about_area=f"{UNCORRECTED_FR}.",
    abusive_count="Dont potentiellement abusives, selon les critères de l'association : {count}.",
    abusive_unknown="On ne peut pas le dire de {count}.",
    departements="Par département",
    departement_unknown="inconnu",
    commune_unknown="commune inconnue",
    listed="Les alertes, la plus grande d'abord",
    others="Et {count} autres, non détaillées ici.",
    since="coupée entre le {last_intact} et le {first_low}",
    seen="coupe vue le {first_low}",
    interval_unknown="date de coupe inconnue",
    criteria="critères remplis : {codes}",
    no_criterion="aucun critère rempli",
    criteria_undecided="aucun critère rempli à ce que l'on sait ; on ne peut pas juger de : {codes}",
    criteria_unknown="critères non évalués",
    abusive="potentiellement abusive, selon les critères de l'association",
    meaning="Une alerte est une perte de couvert vue par satellite, à vérifier sur le terrain. Une coupe "
    "« potentiellement abusive » remplit un critère de l'association ; ce n'est pas le constat d'une infraction.",
    way_out="Ne plus recevoir ces avis",
)

ENGLISH: Final = Words(
    decimal=".",
    date="%Y-%m-%d",
    one_alert="1 new alert",
    many_alerts="{count} new alerts",
    about_area=f"{UNCORRECTED_EN}.",
    abusive_count="Of which potentially abusive, by the association's criteria: {count}.",
    abusive_unknown="Of {count} that cannot be told.",
    departements="By département",
    departement_unknown="unknown",
    commune_unknown="commune unknown",
    listed="The alerts, the largest first",
    others="And {count} others, not told one by one here.",
    since="cut between {last_intact} and {first_low}",
    seen="cut seen on {first_low}",
    interval_unknown="date of the cut unknown",
    criteria="criteria met: {codes}",
    no_criterion="no criterion met",
    criteria_undecided="no criterion met as far as is known; not to be judged: {codes}",
    criteria_unknown="criteria not evaluated",
    abusive="potentially abusive, by the association's criteria",
    meaning="An alert is a loss of tree cover seen from space, to be checked on the ground. A “potentially abusive” "
    "cut meets a criterion of the association; that is not a finding of an offence.",
    way_out="Stop these notices",
)
