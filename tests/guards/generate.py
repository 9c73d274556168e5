"""Sentences with personal data of which the places are known, in eight locales: lines of JSON for `cargo xtask guards`.

Values come from Faker with a fixed seed; sentences are ours. Every second sentence says what the value is; the others leave
it to its form. Sentences without any value have numbers that mean something else: what is found there is wrong.
"""

import json
import random
import sys

from faker import Faker

LOCALES = ["en_US", "en_GB", "de_DE", "fr_FR", "es_ES", "it_IT", "pt_PT", "nl_NL"]

# For each language: sentences with a word for the value, sentences without one.
SAID = {
    "en": {
        "email": ["My e-mail address is {}.", "Write to {} today"],
        "phone": ["Please call me on my phone: {}.", "Tel. {} until noon"],
        "card": ["Charge my card {} please.", "Credit card number: {}"],
        "iban": ["Transfer it to IBAN {} today.", "My account is {}, thanks"],
        "ip": ["It came from {} again.", "The host {} is down"],
        "address": ["I live at {}.", "Send it to this address: {}"],
        "mac": ["The adapter {} is new.", "MAC address {}"],
        "ssn": ["My SSN is {}.", "Social security number: {}"],
        "none": ["The order {n} was sent on {d}.", "It costs {p} dollars, plus {q} percent.", "Version {v} has {n} lines."],
    },
    "de": {
        "email": ["Meine E-Mail ist {}.", "Schreib an {} bis morgen"],
        "phone": ["Meine Telefonnummer ist {}.", "Tel. {} ab acht"],
        "card": ["Bitte von der Karte {} abbuchen.", "Kreditkartennummer: {}"],
        "iban": ["Bitte auf IBAN {} überweisen.", "Mein Konto: {}, danke"],
        "ip": ["Es kam von {} her.", "Der Rechner {} antwortet nicht"],
        "address": ["Ich wohne in der {}.", "Bitte an diese Anschrift: {}"],
        "mac": ["Die Netzkarte {} ist neu.", "MAC-Adresse {}"],
        "none": ["Die Bestellung {n} ging am {d} raus.", "Es kostet {p} Euro und {q} Prozent.", "Version {v} hat {n} Zeilen."],
    },
    "fr": {
        "email": ["Mon adresse est {}.", "Écris à {} demain"],
        "phone": ["Mon numéro de téléphone est le {}.", "Tél. {} le matin"],
        "card": ["Débitez la carte {} merci.", "Numéro de carte : {}"],
        "iban": ["Virement sur l'IBAN {} svp.", "Mon compte : {}, merci"],
        "ip": ["Cela vient de {} encore.", "La machine {} ne répond pas"],
        "address": ["J'habite au {}.", "Voici mon adresse : {}"],
        "mac": ["La carte réseau {} est neuve.", "Adresse MAC {}"],
        "none": ["La commande {n} est partie le {d}.", "Il coûte {p} euros et {q} pour cent.", "La version {v} a {n} lignes."],
    },
    "es": {
        "email": ["Mi correo es {}.", "Escribe a {} mañana"],
        "phone": ["Mi teléfono es {}.", "Tel. {} por la mañana"],
        "card": ["Cargue la tarjeta {} por favor.", "Número de tarjeta: {}"],
        "iban": ["Transfiera al IBAN {} hoy.", "Mi cuenta: {}, gracias"],
        "ip": ["Viene de {} otra vez.", "El servidor {} no responde"],
        "address": ["Vivo en {}.", "Envíelo a esta dirección: {}"],
        "mac": ["El adaptador {} es nuevo.", "Dirección MAC {}"],
        "none": ["El pedido {n} salió el {d}.", "Cuesta {p} euros y {q} por ciento.", "La versión {v} tiene {n} líneas."],
    },
    "it": {
        "email": ["La mia e-mail è {}.", "Scrivi a {} domani"],
        "phone": ["Il mio telefono è {}.", "Tel. {} di mattina"],
        "card": ["Addebita la carta {} grazie.", "Numero di carta: {}"],
        "iban": ["Bonifico sull'IBAN {} oggi.", "Il mio conto: {}, grazie"],
        "ip": ["Viene da {} di nuovo.", "Il server {} non risponde"],
        "address": ["Abito in {}.", "Ecco il mio indirizzo: {}"],
        "mac": ["La scheda {} è nuova.", "Indirizzo MAC {}"],
        "none": ["L'ordine {n} è partito il {d}.", "Costa {p} euro e {q} per cento.", "La versione {v} ha {n} righe."],
    },
    "pt": {
        "email": ["O meu e-mail é {}.", "Escreve para {} amanhã"],
        "phone": ["O meu telefone é {}.", "Tel. {} de manhã"],
        "card": ["Debite o cartão {} por favor.", "Número do cartão: {}"],
        "iban": ["Transfira para o IBAN {} hoje.", "A minha conta: {}, obrigado"],
        "ip": ["Vem de {} outra vez.", "O servidor {} não responde"],
        "address": ["Moro na {}.", "Envie para esta morada: {}"],
        "mac": ["A placa {} é nova.", "Endereço MAC {}"],
        "none": ["A encomenda {n} saiu a {d}.", "Custa {p} euros e {q} por cento.", "A versão {v} tem {n} linhas."],
    },
    "nl": {
        "email": ["Mijn e-mail is {}.", "Schrijf naar {} morgen"],
        "phone": ["Mijn telefoonnummer is {}.", "Tel. {} in de ochtend"],
        "card": ["Schrijf het af van kaart {} graag.", "Creditcardnummer: {}"],
        "iban": ["Maak het over naar IBAN {} vandaag.", "Mijn rekening: {}, bedankt"],
        "ip": ["Het kwam van {} weer.", "De machine {} antwoordt niet"],
        "address": ["Ik woon aan de {}.", "Stuur het naar dit adres: {}"],
        "mac": ["De netwerkkaart {} is nieuw.", "MAC-adres {}"],
        "none": ["De bestelling {n} ging op {d} weg.", "Het kost {p} euro en {q} procent.", "Versie {v} heeft {n} regels."],
    },
}
BARE = ["{}", "- {}", "({})", "x: {}; y", "{}, {}"]


def values(fake):
    """What each kind's values are in a locale."""
    found = {
        "email": fake.email,
        "phone": fake.phone_number,
        "card": lambda: grouped(fake.credit_card_number()),
        "iban": fake.iban,
        "ip": lambda: random.choice([fake.ipv4, fake.ipv6])(),
        "mac": fake.mac_address,
        "address": lambda: fake.address().replace("\n", ", "),
    }
    return found


def grouped(card):
    """As it comes, or as it is printed on cards."""
    if random.random() < 0.5 or len(card) not in (15, 16):
        return card
    sign = random.choice([" ", "-"])
    cuts = [4, 10, 15] if len(card) == 15 else [4, 8, 12, 16]
    return sign.join(card[a:b] for a, b in zip([0] + cuts, cuts))


def main():
    seed, count = 20260702, int(sys.argv[1]) if len(sys.argv) > 1 else 200
    random.seed(seed)
    for locale in LOCALES:
        fake = Faker(locale)
        fake.seed_instance(seed)
        language = locale[:2]
        said = SAID[language]
        kinds = values(fake)
        if locale == "en_US":
            kinds["ssn"] = fake.ssn
        for kind, value in kinds.items():
            for nth in range(count):
                # Phones, cards of any length and SSNs without a word for them are digits.
                bare = nth % 4 == 3 and kind in ("email", "iban", "ip", "mac")
                form = random.choice(BARE if bare else said[kind])
                text, spans = "", []
                for part, piece in enumerate(form.split("{}")):
                    if part:
                        found = value()
                        spans.append([len((text).encode()), len((text + found).encode())])
                        text += found
                    text += piece
                line = {"locale": locale, "kind": kind, "text": text, "spans": spans}
                print(json.dumps(line, ensure_ascii=False))
        for nth in range(2 * count):
            text = random.choice(said["none"]).format(
                n=random.randint(1, 999999),
                d=fake.date(random.choice(["%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y"])),
                p=f"{random.randint(1, 99999)}.{random.randint(10, 99)}",
                q=random.randint(1, 99),
                v=f"{random.randint(0, 9)}.{random.randint(0, 40)}.{random.randint(0, 9)}",
            )
            print(json.dumps({"locale": locale, "kind": "none", "text": text, "spans": []}, ensure_ascii=False))


main()
