//! The kinds of things that are found, and sets of them.

/// How much it matters that a thing leaves, or comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    Low,
    Medium,
    High,
    Critical,
}

impl Severity {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Low, Self::Medium, Self::High, Self::Critical]
            .into_iter()
            .find(|severity| severity.name() == name)
    }
}

/// What a thing is a matter of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    Personal,
    Secret,
    Injection,
    Content,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident $name:literal $family:ident $severity:ident;)*) => {
        /// A kind of thing that is found in texts. What each matches is said at its variant.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Kind { $($(#[$doc])* $variant,)* }

        impl Kind {
            /// All kinds, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word for it in configuration and records.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            pub const fn family(self) -> Family {
                match self { $(Self::$variant => Family::$family,)* }
            }

            /// How much it matters by default. A finding's own severity may differ (content).
            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)* }
            }
        }
    };
}

kinds! {
    /// `local@domain`, RFC 5321's lengths, letters of any script.
    Email "email" Personal Medium;
    /// E.164 (`+49 30 …`, `0049 …`) by the length of the country's plan; the national forms of North America and France by
    /// shape; other national forms behind a word for it.
    Phone "phone" Personal Medium;
    /// 13 to 19 digits (ISO/IEC 7812) with a network's prefix and length, and Luhn's check digit.
    Card "card" Personal High;
    /// ISO 13616: the country's length and mod 97.
    Iban "iban" Personal High;
    /// US social security number (the SSA's rules since 2011), and ITIN.
    Ssn "ssn" Personal High;
    /// National, tax and insurance numbers of more than thirty countries; [`crate::Finding::label`] says which.
    NationalId "national-id" Personal High;
    /// A passport's number behind a word for it, or a machine-readable zone (ICAO 9303) with its check digits.
    Passport "passport" Personal High;
    /// IPv4 in dots, IPv6 (RFC 4291).
    Ip "ip" Personal Low;
    /// Six octets in colons or hyphens, or three groups in dots.
    Mac "mac" Personal Low;
    /// Street and number in the order of seven languages, with postcode and town where they follow; boxes.
    Address "address" Personal Medium;
    /// A date behind a word for birth.
    BirthDate "birth-date" Personal Medium;
    /// Addresses of Bitcoin, Litecoin, Dogecoin, Tron, Ripple (base58check), of `SegWit` and Cardano (bech32), Ethereum.
    Crypto "crypto" Personal High;
    /// A vehicle's identification number (ISO 3779, check digit of 49 CFR 565), or a plate behind a word for it.
    Vehicle "vehicle" Personal Medium;
    /// A driver's licence behind a word for it.
    DriverLicence "driver-licence" Personal High;
    /// Numbers of health care: NHS, Medicare, NPI, DEA; records and insurances behind a word for them.
    Medical "medical" Personal High;
    /// Bank accounts and routing numbers, BIC, sort codes: behind a word for them.
    BankAccount "bank-account" Personal High;
    /// A URL with a user and a password in it.
    CredentialUrl "credential-url" Secret Critical;
    /// A person's name: by lists of given names and surnames, forms of address, and words that introduce one.
    Person "person" Personal Low;
    /// An organisation: by its legal form, by what it is called after, by a list.
    Organisation "organisation" Personal Low;
    /// Countries, large cities and regions by a list.
    Place "place" Personal Low;
    /// A key or token of a service; [`crate::Finding::label`] names the service's format.
    Secret "secret" Secret Critical;
    /// A private key in PEM, or as `OpenSSH`, `PuTTY`, PGP and age write it.
    PrivateKey "private-key" Secret Critical;
    /// A JSON web token (RFC 7519): its header must decode.
    Jwt "jwt" Secret High;
    /// A connection string with a password in it (databases, queues, Azure's `AccountKey=`).
    ConnectionString "connection-string" Secret Critical;
    /// What is assigned to a word for a secret and looks drawn by lot.
    Entropy "entropy" Secret High;
    /// An attempt to take the model's instructions away, or to make it say what it was told.
    Injection "injection" Injection High;
    // Content: `scan` does not look for it. The gateway has lists.
    Violence "violence" Content High;
    SelfHarm "self-harm" Content High;
    Sexual "sexual" Content Medium;
    Hate "hate" Content High;
    Illegal "illegal" Content High;
    MedicalAdvice "medical-advice" Content Low;
    LegalAdvice "legal-advice" Content Low;
    FinancialAdvice "financial-advice" Content Low;
}

impl Kind {
    pub fn from_name(name: &str) -> Option<Self> {
        // The short words of other products, and of the configuration's examples.
        let name = match name {
            "name" | "person-name" => "person",
            "credit-card" => "card",
            "date-of-birth" | "dob" => "birth-date",
            "organization" | "org" => "organisation",
            "location" => "place",
            "postal-address" => "address",
            "driver-license" => "driver-licence",
            "ip-address" => "ip",
            other => other,
        };
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

/// A set of kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Kinds(u64);

impl Kinds {
    pub const NONE: Self = Self(0);
    pub const PERSONAL: Self = Self::of(Family::Personal);
    pub const SECRETS: Self = Self::of(Family::Secret);
    pub const CONTENT: Self = Self::of(Family::Content);
    pub const ALL: Self = Self((1 << Kind::ALL.len()) - 1);

    pub const fn one(kind: Kind) -> Self {
        Self(1 << kind as u8)
    }

    const fn of(family: Family) -> Self {
        let mut set = 0;
        let mut at = 0;
        while at < Kind::ALL.len() {
            if Kind::ALL[at].family() as u8 == family as u8 {
                set |= 1 << at;
            }
            at += 1;
        }
        Self(set)
    }

    #[must_use]
    pub const fn with(self, kind: Kind) -> Self {
        Self(self.0 | Self::one(kind).0)
    }

    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[must_use]
    pub const fn without(self, kind: Kind) -> Self {
        Self(self.0 & !Self::one(kind).0)
    }

    pub const fn has(self, kind: Kind) -> bool {
        self.0 & Self::one(kind).0 != 0
    }

    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn iter(self) -> impl Iterator<Item = Kind> {
        Kind::ALL.iter().copied().filter(move |kind| self.has(*kind))
    }
}

impl FromIterator<Kind> for Kinds {
    fn from_iter<I: IntoIterator<Item = Kind>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::NONE, Self::with)
    }
}
