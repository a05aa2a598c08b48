//! The trait of all wire words, and the two macros that implement it from a list of names.

use super::cursor::{Cursor, Taken};
use serde_json::{Map, Value, json};

/// Definitions of a JSON Schema, by name.
pub(crate) type Definitions = Map<String, Value>;

/// A word with its four wire forms.
pub(crate) trait Wire: Sized {
    /// Appends its JSON text.
    fn put(&self, out: &mut Vec<u8>);
    /// Reads it from JSON text.
    fn take(cursor: &mut Cursor<'_>) -> Taken<Self>;
    /// The schema that describes it; named parts are added to the definitions and referred to.
    fn schema(definitions: &mut Definitions) -> Value;
    /// Its value in the Informal Trace Format.
    fn itf(&self) -> Value;
}

/// The reference to a definition, which is made if it is new.
pub(crate) fn defined(
    definitions: &mut Definitions,
    name: &str,
    make: impl FnOnce(&mut Definitions) -> Value,
) -> Value {
    if !definitions.contains_key(name) {
        // A mark first, so that a type that contains itself ends the recursion.
        definitions.insert(name.to_string(), Value::Null);
        let made = make(definitions);
        definitions.insert(name.to_string(), made);
    }
    json!({ "$ref": format!("#/$defs/{name}") })
}

/// The schema of an object whose fields are all required and no others allowed.
pub(crate) fn object_schema(fields: Vec<(&'static str, Value)>) -> Value {
    let required: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let properties: Map<String, Value> =
        fields.into_iter().map(|(name, schema)| (name.to_string(), schema)).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

/// An ITF record; field names become identifiers. Readers take any object with a field `tag` for a variant, so the
/// initiator task tag is called `task_tag` there.
pub(crate) fn itf_record(fields: Vec<(&'static str, Value)>) -> Value {
    let named = |name: &str| if name == "tag" { "task_tag".to_string() } else { name.replace('-', "_") };
    fields.into_iter().map(|(name, value)| (named(name), value)).collect::<Map<_, _>>().into()
}

/// An ITF variant, as Apalache and Quint write them.
pub(crate) fn itf_variant(tag: &str, value: Option<Value>) -> Value {
    json!({ "tag": tag, "value": value.unwrap_or_else(|| json!({ "#tup": [] })) })
}

/// The body of an object: encoder, decoder, schema and ITF form of a list of fields. `make` builds the value.
macro_rules! fields {
    (put $out:ident; $first:literal $head:expr $(, $name:literal $tail:expr)*) => {
        $out.extend_from_slice(concat!("{\"", $first, "\":").as_bytes());
        $crate::wire::forms::Wire::put($head, $out);
        $(
            $out.extend_from_slice(concat!(",\"", $name, "\":").as_bytes());
            $crate::wire::forms::Wire::put($tail, $out);
        )*
        $out.push(b'}');
    };
    (take $cursor:ident, $make:path; $($name:literal $field:ident: $kind:ty),*) => {{
        const KNOWN: &[&str] = &[$($name),*];
        $(let mut $field: Option<$kind> = None;)*
        let start = $cursor.mark();
        $cursor.open()?;
        let mut first = true;
        while let Some((name, offset)) = $cursor.field(&mut first)? {
            match name {
                $($name => {
                    if $field.is_some() {
                        return Err($cursor.refuse(offset, $crate::Problem::Twice($name)));
                    }
                    let value = <$kind as $crate::wire::forms::Wire>::take($cursor);
                    $field = Some(value.map_err(|refusal| refusal.within($name))?);
                })*
                other => return Err($cursor.unknown(offset, "field", other, KNOWN)),
            }
        }
        $make {
            $($field: match $field {
                Some(value) => value,
                None => return Err($cursor.refuse(start, $crate::Problem::Missing($name))),
            },)*
        }
    }};
}
pub(crate) use fields;

/// A struct as an object with these fields.
macro_rules! wire_struct {
    ($($kind:ident { $first:literal $head:ident: $head_kind:ty $(, $name:literal $field:ident: $field_kind:ty)* $(,)? })*) => {$(
        impl Wire for $kind {
            fn put(&self, out: &mut Vec<u8>) {
                let $kind { $head $(, $field)* } = self;
                fields!(put out; $first $head $(, $name $field)*);
            }
            fn take(cursor: &mut Cursor<'_>) -> Taken<Self> {
                Ok(fields!(take cursor, $kind; $first $head: $head_kind $(, $name $field: $field_kind)*))
            }
            fn schema(definitions: &mut Definitions) -> Value {
                defined(definitions, stringify!($kind), |definitions| object_schema(vec![
                    ($first, <$head_kind>::schema(definitions)) $(, ($name, <$field_kind>::schema(definitions)))*
                ]))
            }
            fn itf(&self) -> Value {
                let $kind { $head $(, $field)* } = self;
                itf_record(vec![($first, $head.itf()) $(, ($name, $field.itf()))*])
            }
        }
    )*};
}
pub(crate) use wire_struct;

/// An enum: plain variants are strings; a variant with content is an object with its name as the only key.
macro_rules! wire_enum {
    ($kind:ident, $what:literal:
        $(plain { $($plain:ident = $plain_name:literal),* $(,)? })?
        $(holds { $($holds:ident($content:ty) = $holds_name:literal),* $(,)? })?
        $(fields { $($variant:ident = $variant_name:literal {
            $first:literal $head:ident: $head_kind:ty $(, $name:literal $field:ident: $field_kind:ty)* $(,)?
        }),* $(,)? })?
    ) => {
        impl Wire for $kind {
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $($($kind::$plain => out.extend_from_slice(concat!("\"", $plain_name, "\"").as_bytes()),)*)?
                    $($($kind::$holds(content) => {
                        out.extend_from_slice(concat!("{\"", $holds_name, "\":").as_bytes());
                        content.put(out);
                        out.push(b'}');
                    })*)?
                    $($($kind::$variant { $head $(, $field)* } => {
                        out.extend_from_slice(concat!("{\"", $variant_name, "\":").as_bytes());
                        fields!(put out; $first $head $(, $name $field)*);
                        out.push(b'}');
                    })*)?
                }
            }
            fn take(cursor: &mut Cursor<'_>) -> Taken<Self> {
                const KNOWN: &[&str] = &[
                    $($($plain_name,)*)? $($($holds_name,)*)? $($($variant_name,)*)?
                ];
                let offset = cursor.mark();
                if cursor.eat(b'{') {
                    let offset = cursor.mark();
                    let name = cursor.name($what)?;
                    cursor.must(b':', "\":\"")?;
                    match name {
                        $($($holds_name => {
                            let content = <$content as Wire>::take(cursor);
                            let value = $kind::$holds(content.map_err(|refusal| refusal.within($holds_name))?);
                            cursor.must(b'}', "\"}\"")?;
                            Ok(value)
                        })*)?
                        $($($variant_name => {
                            // A closure, so that an error inside gains the variant's name on its way out.
                            let mut take = || Ok(fields!(take cursor, $kind::$variant;
                                $first $head: $head_kind $(, $name $field: $field_kind)*));
                            let value = take().map_err(|refusal: Box<Refusal>| refusal.within($variant_name))?;
                            cursor.must(b'}', "\"}\"")?;
                            Ok(value)
                        })*)?
                        other => Err(cursor.unknown(offset, $what, other, KNOWN)),
                    }
                } else {
                    match cursor.name($what)? {
                        $($($plain_name => Ok($kind::$plain),)*)?
                        other => Err(cursor.unknown(offset, $what, other, KNOWN)),
                    }
                }
            }
            fn schema(definitions: &mut Definitions) -> Value {
                defined(definitions, stringify!($kind), |definitions| {
                    let _ = &definitions;
                    #[allow(unused_mut)]
                    let mut forms: Vec<Value> = vec![$(json!({ "enum": [$($plain_name),*] }),)?];
                    $($(forms.push(object_schema(vec![($holds_name, <$content>::schema(definitions))]));)*)?
                    $($(
                        let content = object_schema(vec![
                            ($first, <$head_kind>::schema(definitions))
                            $(, ($name, <$field_kind>::schema(definitions)))*
                        ]);
                        forms.push(object_schema(vec![($variant_name, content)]));
                    )*)?
                    json!({ "oneOf": forms })
                })
            }
            fn itf(&self) -> Value {
                match self {
                    $($($kind::$plain => itf_variant($plain_name, None),)*)?
                    $($($kind::$holds(content) => itf_variant($holds_name, Some(content.itf())),)*)?
                    $($($kind::$variant { $head $(, $field)* } => itf_variant($variant_name, Some(itf_record(vec![
                        ($first, $head.itf()) $(, ($name, $field.itf()))*
                    ]))),)*)?
                }
            }
        }
    };
}
pub(crate) use wire_enum;
