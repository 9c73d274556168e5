use super::*;

/// What is found, as `kind:text`.
fn found(text: &str) -> Vec<String> {
    scan(text, Kinds::PERSONAL.union(Kinds::SECRETS))
        .into_iter()
        .map(|finding| format!("{}:{}", finding.kind.name(), &text[finding.start..finding.end]))
        .collect()
}

/// A row: a text, and what is to be found in it.
#[track_caller]
fn holds(text: &str, expected: &[&str]) {
    assert_eq!(found(text), expected, "in {text:?}");
}

#[test]
fn addresses_of_mail() {
    holds(
        "mail jane.doe+x@example.co.uk, or müller@bücher.de.",
        &["email:jane.doe+x@example.co.uk", "email:müller@bücher.de"],
    );
    holds("<a href='mailto:o@x.org'>", &["email:o@x.org"]);
    holds("lodash@4.17.21 and git@github.com:a/b.git, @home, a@b", &[]);
}

#[test]
fn cards() {
    holds("4111 1111 1111 1111", &["card:4111 1111 1111 1111"]);
    holds("card:378282246310005", &["card:378282246310005"]);
    holds("4111 1111 1111 1112 and 1234567890123456", &[]);
    holds("order 5 5500-0000-0000-0004 shipped", &["card:5500-0000-0000-0004"]);
    holds("(4111 1111 1111 1111)", &["card:4111 1111 1111 1111"]);
    holds("3512 9323 8865 7966", &["card:3512 9323 8865 7966"]);
    holds("carte 060474077009", &["card:060474077009"]);
}

#[test]
fn banks() {
    holds("DE89 3704 0044 0532 0130 00 please", &["iban:DE89 3704 0044 0532 0130 00"]);
    holds("GB82WEST12345698765432.", &["iban:GB82WEST12345698765432"]);
    holds("GB82WEST12345698765433", &[]);
    holds("Routing number 021000021", &["bank-account:021000021"]);
    holds("BIC: COBADEFFXXX", &["bank-account:COBADEFFXXX"]);
}

#[test]
fn brackets_hide_nothing_and_extensions_belong_to_their_phones() {
    holds("(124.207.188.147)", &["ip:124.207.188.147"]);
    holds("(96:84:b6:52:88:38)", &["mac:96:84:b6:52:88:38"]);
    holds("(2fbf:562a:bd54:2c7a:98e:cc8c:4e81:b42c)", &["ip:2fbf:562a:bd54:2c7a:98e:cc8c:4e81:b42c"]);
    holds("call (401)961-0855x4289.", &["phone:(401)961-0855x4289"]);
    holds("call 540.440.7277 ext. 737 now", &["phone:540.440.7277 ext. 737"]);
    holds("call 540.440.7277 xylophones", &["phone:540.440.7277"]);
    holds("Tel. (0069) 127419, Tél. 0156969295", &["phone:(0069) 127419", "phone:0156969295"]);
}

#[test]
fn phones() {
    for phone in [
        "+49 30 901820",
        "(555) 234-5678",
        "555-234-5678",
        "+1 (212) 555-0100",
        "06 12 34 56 78",
        "+33 6 12 34 56 78",
    ] {
        holds(&format!("write to {phone} now"), &[&format!("phone:{phone}")]);
    }
    holds("Telefon: 030 1234567", &["phone:030 1234567"]);
    holds("version 1.2.3, 2024-01-15, 12:30:45, 1,234,567.89 and 3.14159265", &[]);
}

#[test]
fn national_numbers() {
    for (text, expected) in [
        ("SSN 123-45-6789", "ssn:123-45-6789"),
        ("NINO AB123456C", "national-id:AB123456C"),
        ("NINO AB 12 34 56 C", "national-id:AB 12 34 56 C"),
        ("DNI 12345678Z", "national-id:12345678Z"),
        ("NIE X1234567L", "national-id:X1234567L"),
        ("codice fiscale RSSMRA85T10A562S", "national-id:RSSMRA85T10A562S"),
        ("BSN 111222333", "national-id:111222333"),
        ("PESEL 44051401359", "national-id:44051401359"),
        ("Steuer-ID: 86 095 742 719", "national-id:86 095 742 719"),
        ("NIR 2 55 08 14 168 025 38", "national-id:2 55 08 14 168 025 38"),
        ("CPF 529.982.247-25", "national-id:529.982.247-25"),
        ("AHV 756.9217.0769.85", "national-id:756.9217.0769.85"),
        ("HETU 131052-308T", "national-id:131052-308T"),
        ("NIF 123456789", "national-id:123456789"),
        ("Aadhaar 2341 2341 2346", "national-id:2341 2341 2346"),
        ("id 11010519491231002X", "national-id:11010519491231002X"),
        ("CURP HEGG560427MVZRRL04", "national-id:HEGG560427MVZRRL04"),
        ("NHS patient 943 476 5919", "medical:943 476 5919"),
        ("VIN 1M8GDM9AXKP042788", "vehicle:1M8GDM9AXKP042788"),
        ("passport no. C01X00T47", "passport:C01X00T47"),
    ] {
        holds(text, &[expected]);
    }
    holds("123-45-678, 000-12-3456, 666-12-3456, 12345678A", &[]);
}

#[test]
fn networks() {
    holds("from 192.168.0.1 to 2001:db8::8a2e:370:7334", &["ip:192.168.0.1", "ip:2001:db8::8a2e:370:7334"]);
    holds("00:1a:2b:3c:4d:5e 001a.2b3c.4d5e", &["mac:00:1a:2b:3c:4d:5e", "mac:001a.2b3c.4d5e"]);
    holds("std::vec, v1.2.3.4, 1.2.3.4.5, 256.1.1.1, 10:20:30", &[]);
    holds("see https://u:s3cr3tpw@host/x", &["credential-url:https://u:s3cr3tpw@host/x"]);
    holds(
        "postgres://app:hunter22@db:5432/main",
        &["connection-string:postgres://app:hunter22@db:5432/main"],
    );
}

#[test]
fn births_and_wallets() {
    holds("born on 12 March 1980 in", &["birth-date:12 March 1980"]);
    holds("Geburtsdatum: 12.03.1980", &["birth-date:12.03.1980"]);
    holds("DOB: March 3, 1990", &["birth-date:March 3, 1990"]);
    holds("on 12.03.1980", &[]);
    holds("send to 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", &["crypto:1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"]);
    holds(
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
        &["crypto:bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"],
    );
}

#[test]
fn secrets() {
    holds(
        "key 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 end",
        &["secret: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"],
    );
    holds("AKIAQYLPMN5HFIQR7XYA", &["secret:AKIAQYLPMN5HFIQR7XYA"]);
    holds("ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx sk-some-kebab-case-name", &[]);
    holds("api_key = \"q9Zt7Lm2Xw4Rk8Vb1Nc6\"", &["entropy:q9Zt7Lm2Xw4Rk8Vb1Nc6"]);
    holds("token = config.get_token(); password: str", &[]);
}

#[test]
fn postal_addresses() {
    for address in [
        "123 North Main Street, Springfield, IL 62701-1234",
        "45 Elm Ave. Apt 4B",
        "10 Downing Street, London, SW1A 2AA",
        "12 bis rue de la Paix, 75002 Paris",
        "Hauptstraße 12a, 10115 Berlin",
        "Hans-Müller-Platz 3",
        "Birkenweg 7, 80331 München",
        "Calle de Alcalá 45, 28014 Madrid",
        "Via Roma, 12, 00184 Roma",
        "Rua Augusta 100, 1100-053 Lisboa",
        "Keizersgracht 123, 1015 CJ Amsterdam",
        "PO Box 1234",
        "Postfach 12 34, 10115 Berlin",
        "Gartenallee 8/1, 08614 Greifswald",
        "Herensingel 12, 3817 AB Amersfoort",
        "Vicolo Stretto, 4, 22021, Bellagio (CO)",
        "rue de Rivoli, 75001 Paris",
        "Rambla de Catalunya 35, Barcelona, 08007",
        "8 Anna Crossroad, Reno, NV 89501",
        "Flat 9, Hughes Village, Leeds, LS1 4AP",
        "Studio 4B, 12 High Street, Leeds, LS1 4AP",
    ] {
        let text = format!("Send it to {address}.");
        let found = scan(&text, Kinds::one(Kind::Address));
        let places: Vec<&str> = found.iter().map(|one| &text[one.start..one.end]).collect();
        assert_eq!(places, [address]);
    }
    for text in [
        "Parkplatz 3 is taken, Ausweg 2 is not; Fehler 10115 Bytes, 5 Big Apples and 3 Course Books.",
        "In 2024 Main events took place at 10 am; via HTTP 2, rue the day 3.",
        "The 2024 Summer Camp, Unit 5, Studio 54, Flat 3, Big Data Center, and rue de Rivoli",
        "version 1.2 Main Street, $12 Wall Street, 12 people in the street",
    ] {
        assert_eq!(scan(text, Kinds::one(Kind::Address)), [], "{text}");
    }
}
