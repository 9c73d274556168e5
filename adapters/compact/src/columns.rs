//! Columns, as the records' own schema has them.
//!
//! A field of the schema is a column of its type: amounts of money are decimals of nine places, moments are timestamps in UTC, lists and
//! objects are JSON, and `usage` is a column for each kind of tokens. What a line has and the schema has not is in `more`.

use std::io::Write;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use gatelet_core::domain::{Money, Timestamp};
use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{Type, TypePtr};
use serde_json::{Map, Value};

/// What has no column of its own.
const MORE: &str = "more";
/// The object whose fields are columns.
const FLAT: &str = "usage";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Json,
    Whole,
    Number,
    Truth,
    Moment,
    /// Whole nano-dollars, shown as dollars.
    Money,
}

impl Kind {
    fn of(field: &Value) -> Self {
        let kind = match &field["type"] {
            Value::Array(kinds) => kinds.first().and_then(Value::as_str),
            kind => kind.as_str(),
        };
        match kind {
            Some("integer") => Self::Whole,
            Some("number") => Self::Number,
            Some("boolean") => Self::Truth,
            Some("array" | "object") => Self::Json,
            Some("string") if field["format"] == "date-time" => Self::Moment,
            Some("string") if field["pattern"].as_str().is_some_and(|pattern| pattern.contains("{1,9}")) => {
                Self::Money
            }
            None if field["const"].is_number() => Self::Whole,
            _ => Self::Text,
        }
    }
}

/// The values of one column.
#[derive(Debug)]
enum Values {
    Texts(Vec<ByteArray>),
    Wholes(Vec<i64>),
    Numbers(Vec<f64>),
    Truths(Vec<bool>),
}

/// One column of the rows that wait to be written.
#[derive(Debug)]
struct Column {
    name: String,
    kind: Kind,
    values: Values,
    /// For each row 1, or 0 where it has no value.
    there: Vec<i16>,
}

impl Column {
    fn new(name: &str, kind: Kind) -> Self {
        let values = match kind {
            Kind::Text | Kind::Json => Values::Texts(Vec::new()),
            Kind::Whole | Kind::Moment | Kind::Money => Values::Wholes(Vec::new()),
            Kind::Number => Values::Numbers(Vec::new()),
            Kind::Truth => Values::Truths(Vec::new()),
        };
        Self { name: name.to_owned(), kind, values, there: Vec::new() }
    }

    fn schema(&self) -> Result<TypePtr> {
        let (physical, logical) = match self.kind {
            Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Kind::Json => (Physical::BYTE_ARRAY, Some(LogicalType::Json)),
            Kind::Whole => (Physical::INT64, None),
            Kind::Number => (Physical::DOUBLE, None),
            Kind::Truth => (Physical::BOOLEAN, None),
            Kind::Moment => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
            Kind::Money => (Physical::INT64, Some(LogicalType::decimal(9, 18))),
        };
        let mut field = Type::primitive_type_builder(&self.name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical);
        if self.kind == Kind::Money {
            field = field.with_precision(18).with_scale(9);
        }
        Ok(Arc::new(field.build()?))
    }

    fn push(&mut self, value: Option<Value>) -> Result<()> {
        let Some(value) = value.filter(|value| !value.is_null()) else {
            self.there.push(0);
            return Ok(());
        };
        let wrong = || format!("{} is {value}", self.name);
        let text = || value.as_str().with_context(wrong);
        match (&mut self.values, self.kind) {
            (Values::Texts(texts), Kind::Text) => texts.push(text()?.into()),
            (Values::Texts(texts), _) => texts.push(value.to_string().into_bytes().into()),
            (Values::Wholes(wholes), Kind::Moment) => {
                wholes.push(Timestamp::parse(text()?).with_context(wrong)?.micros());
            }
            (Values::Wholes(wholes), Kind::Money) => {
                let money: Money = text()?.parse().with_context(wrong)?;
                wholes.push(i64::try_from(money.nanos()).with_context(wrong)?);
            }
            (Values::Wholes(wholes), _) => wholes.push(value.as_i64().with_context(wrong)?),
            (Values::Numbers(numbers), _) => numbers.push(value.as_f64().with_context(wrong)?),
            (Values::Truths(truths), _) => truths.push(value.as_bool().with_context(wrong)?),
        }
        self.there.push(1);
        Ok(())
    }

    /// Writes what waits, and forgets it.
    fn write(&mut self, mut writer: SerializedColumnWriter<'_>) -> Result<()> {
        fn all<T: DataType>(
            writer: &mut SerializedColumnWriter<'_>,
            values: &mut Vec<T::T>,
            there: &[i16],
        ) -> Result<()> {
            writer.typed::<T>().write_batch(values, Some(there), None)?;
            values.clear();
            Ok(())
        }
        let there = &self.there;
        match &mut self.values {
            Values::Texts(values) => all::<ByteArrayType>(&mut writer, values, there)?,
            Values::Wholes(values) => all::<Int64Type>(&mut writer, values, there)?,
            Values::Numbers(values) => all::<DoubleType>(&mut writer, values, there)?,
            Values::Truths(values) => all::<BoolType>(&mut writer, values, there)?,
        }
        self.there.clear();
        Ok(writer.close()?)
    }
}

/// The columns of one kind of lines.
#[derive(Debug)]
pub(crate) struct Columns(Vec<Column>);

impl Columns {
    /// `kind`: a definition of the records' schema.
    pub(crate) fn of(schema: &Value, kind: &str) -> Result<Self> {
        let fields = |of: &Value| of["properties"].as_object().cloned();
        let mut columns = Vec::new();
        for (name, field) in
            fields(&schema["$defs"][kind]).with_context(|| format!("no {kind} in the schema"))?
        {
            if name == FLAT {
                for (part, field) in fields(&field).unwrap_or_default() {
                    columns.push(Column::new(&format!("{name}_{part}"), Kind::of(&field)));
                }
            } else if name != "kind" {
                columns.push(Column::new(&name, Kind::of(&field)));
            }
        }
        columns.push(Column::new(MORE, Kind::Json));
        Ok(Self(columns))
    }

    pub(crate) fn schema(&self, name: &str) -> Result<TypePtr> {
        let fields = self.0.iter().map(Column::schema).collect::<Result<_>>()?;
        Ok(Arc::new(Type::group_type_builder(name).with_fields(fields).build()?))
    }

    /// Rows that wait.
    pub(crate) fn rows(&self) -> usize {
        self.0.first().map_or(0, |column| column.there.len())
    }

    pub(crate) fn push(&mut self, mut line: Map<String, Value>) -> Result<()> {
        line.remove("kind");
        if let Some(Value::Object(flat)) = line.remove(FLAT) {
            line.extend(flat.into_iter().map(|(part, value)| (format!("{FLAT}_{part}"), value)));
        }
        let Some((more, columns)) = self.0.split_last_mut() else { return Ok(()) };
        for column in columns {
            column.push(line.remove(&column.name))?;
        }
        more.push((!line.is_empty()).then_some(Value::Object(line)))
    }

    /// Writes what waits as one group of rows, and forgets it.
    pub(crate) fn write<W: Write + Send>(&mut self, file: &mut SerializedFileWriter<W>) -> Result<()> {
        let mut group = file.next_row_group()?;
        for column in &mut self.0 {
            column.write(group.next_column()?.context("the file has fewer columns")?)?;
        }
        group.close()?;
        Ok(())
    }
}
