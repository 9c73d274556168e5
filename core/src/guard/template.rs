//! Policies that are made of guards, ready to be named.

/// A policy by its name: what it turns on.
#[derive(Clone, Copy, Debug)]
pub struct Template {
    pub name: &'static str,
    /// One sentence for whoever chooses.
    pub about: &'static str,
    /// The guards that it is made of: a name, and the definition in the words of the configuration.
    pub guards: &'static [(&'static str, &'static str)],
}

/// All that there are. None of them makes anybody compliant: each turns on what the gateway can do for it.
pub const TEMPLATES: &[Template] = &[
    Template {
        name: "gdpr",
        about: "personal data is replaced before it leaves, and stands in the answer again; secrets are stopped",
        guards: &[
            (
                "personal",
                "{ kind: pii, mask: [email, phone, card, iban, ssn, national-id, passport, ip, mac, \
                 birth-date, crypto, vehicle, driver-licence, medical, bank-account, person, address] }",
            ),
            ("secrets", "{ kind: secrets, mode: block }"),
        ],
    },
    Template {
        name: "hipaa",
        about: "the identifiers of patients that can be told by their form, and names, are replaced",
        guards: &[
            (
                "patients",
                "{ kind: pii, mask: [person, birth-date, phone, email, ssn, national-id, medical, \
                 bank-account, driver-licence, vehicle, passport, ip, mac, address] }",
            ),
            ("secrets", "{ kind: secrets, mode: block }"),
        ],
    },
    Template {
        name: "pci",
        about: "of a card's number the last four digits are left, and nobody gets the rest again",
        guards: &[
            ("cards", "{ kind: pii, mask: [card], replace: partial, restore: false }"),
            ("accounts", "{ kind: pii, mask: [iban, bank-account] }"),
            ("secrets", "{ kind: secrets, mode: block }"),
        ],
    },
    Template {
        name: "eu-ai-act",
        about: "the record says what personal data and secrets went in and came out; nothing is changed",
        guards: &[("personal", "{ kind: pii, mode: flag }"), ("secrets", "{ kind: secrets, mode: flag }")],
    },
    Template {
        name: "finance",
        about: "numbers of cards, accounts and taxpayers are replaced; secrets are stopped",
        guards: &[
            ("accounts", "{ kind: pii, mask: [card, iban, bank-account, crypto] }"),
            ("persons", "{ kind: pii, mask: [ssn, national-id, passport, birth-date] }"),
            ("secrets", "{ kind: secrets, mode: block }"),
        ],
    },
    Template {
        name: "children",
        about: "what would tell who or where a child is is replaced for good, in both directions",
        guards: &[(
            "persons",
            "{ kind: pii, restore: false, mask: [person, birth-date, phone, email, ip, place, \
             address, national-id, passport] }",
        )],
    },
];
