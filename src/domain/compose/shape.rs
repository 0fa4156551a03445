//! Purpose: the forms in which YAML may say one thing: short or long, one or many, with merge keys and extensions.
//!
//! Everything is read straight from the parser, so that an error knows its line. `x-` keys are passed over wherever the
//! file has keys of its own, and `<<` takes what the map itself does not say (YAML, "merge key language-independent type").

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::StringDeserializer;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, IntoDeserializer as _, MapAccess, SeqAccess, Visitor,
};

/// What takes from another value what it does not have itself.
pub(super) trait Merge {
    /// Takes it.
    fn merge(&mut self, weaker: Self);
}

/// Implements [`Merge`] for a struct whose fields are options.
macro_rules! merge {
    ($type:ty { $($field:ident),* $(,)? }) => {
        impl Merge for $type {
            fn merge(&mut self, weaker: Self) {
                $(self.$field = self.$field.take().or(weaker.$field);)*
            }
        }
    };
}
pub(super) use merge;

/// A struct out of a map with merge keys and extensions.
pub(super) struct Keys<T>(pub(super) T);

impl<'de, T: Deserialize<'de> + Merge> Deserialize<'de> for Keys<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de> + Merge> Visitor<'de> for Reader<T> {
            type Value = Keys<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Keys<T>, A::Error> {
                keys(map)
            }
        }

        deserializer.deserialize_map(Reader(PhantomData))
    }
}

fn keys<'de, T: Deserialize<'de> + Merge, A: MapAccess<'de>>(map: A) -> Result<Keys<T>, A::Error> {
    let mut merged = Vec::new();
    let mut value = T::deserialize(Fields { map, merged: &mut merged })?;
    merged.into_iter().for_each(|weaker| value.merge(weaker));
    Ok(Keys(value))
}

/// Hands a struct its fields, and keeps the rest from it.
struct Fields<'a, A, T> {
    map: A,
    merged: &'a mut Vec<T>,
}

impl<'de, A: MapAccess<'de>, T: Deserialize<'de> + Merge> Deserializer<'de> for Fields<'_, A, T> {
    type Error = A::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        visitor.visit_map(Own { map: self.map, merged: self.merged, fields })
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, A::Error> {
        Err(A::Error::custom("only structs are read from keys"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// The entries that are the struct's own.
struct Own<'a, A, T> {
    map: A,
    merged: &'a mut Vec<T>,
    fields: &'static [&'static str],
}

impl<'de, A: MapAccess<'de>, T: Deserialize<'de> + Merge> MapAccess<'de> for Own<'_, A, T> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        while let Some(key) = self.map.next_key_seed(Known(self.fields))? {
            match key {
                Key::Extension => drop(self.map.next_value::<IgnoredAny>()?),
                Key::Merge => {
                    self.merged.extend(self.map.next_value::<Merged<Keys<T>>>()?.0.into_iter().map(|of| of.0));
                }
                Key::Own(name) => {
                    let name: StringDeserializer<A::Error> = name.into_deserializer();
                    return seed.deserialize(name).map(Some);
                }
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

enum Key {
    Own(String),
    Merge,
    Extension,
}

/// Reads a key, and refuses one that is not known where the parser still knows its line.
struct Known(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for Known {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Known {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Key, E> {
        match name {
            "<<" => Ok(Key::Merge),
            name if name.starts_with("x-") => Ok(Key::Extension),
            name if self.0.contains(&name) => Ok(Key::Own(name.to_owned())),
            name => Err(E::unknown_field(name, self.0)),
        }
    }
}

/// The value of a merge key: one map, or several, the first the strongest.
struct Merged<T>(Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Merged<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
            type Value = Merged<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map, or a list of maps")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Merged<T>, A::Error> {
                T::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(|one| Merged(vec![one]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Merged<T>, A::Error> {
                Vec::deserialize(serde::de::value::SeqAccessDeserializer::new(list)).map(Merged)
            }
        }

        deserializer.deserialize_any(Reader(PhantomData))
    }
}

/// A map of names, which may have merge keys.
pub(super) struct Names<V>(pub(super) BTreeMap<String, V>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Names<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<V>(PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for Reader<V> {
            type Value = Names<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Names<V>, A::Error> {
                names(map)
            }
        }

        deserializer.deserialize_map(Reader(PhantomData))
    }
}

fn names<'de, V: Deserialize<'de>, A: MapAccess<'de>>(mut map: A) -> Result<Names<V>, A::Error> {
    let (mut own, mut merged) = (BTreeMap::new(), Vec::new());
    while let Some(Scalar(name)) = map.next_key()? {
        if name == "<<" {
            merged.extend(map.next_value::<Merged<Names<V>>>()?.0);
        } else {
            own.insert(name, map.next_value()?);
        }
    }
    for (name, value) in merged.into_iter().flat_map(|weaker: Names<V>| weaker.0) {
        own.entry(name).or_insert(value);
    }
    Ok(Names(own))
}

/// Visits of everything that is one value, as text.
macro_rules! scalars {
    ($value:ty, $make:expr) => {
        fn visit_str<E: Error>(self, text: &str) -> Result<$value, E> {
            Ok($make(text.to_owned()))
        }

        fn visit_bool<E: Error>(self, flag: bool) -> Result<$value, E> {
            Ok($make(flag.to_string()))
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<$value, E> {
            Ok($make(number.to_string()))
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<$value, E> {
            Ok($make(number.to_string()))
        }

        fn visit_f64<E: Error>(self, number: f64) -> Result<$value, E> {
            Ok($make(number.to_string()))
        }
    };
}

/// One value, whatever YAML takes it for.
pub(super) struct Scalar(pub(super) String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl Visitor<'_> for Reader {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a number")
            }

            scalars!(Scalar, Scalar);
        }

        deserializer.deserialize_any(Reader)
    }
}

/// One text, or a list of them.
pub(super) enum Texts {
    One(String),
    Many(Vec<String>),
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Texts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }

            scalars!(Texts, Texts::One);

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Texts, A::Error> {
                texts(list).map(Texts::Many)
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

fn texts<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Vec<String>, A::Error> {
    let mut texts = Vec::new();
    while let Some(Scalar(text)) = list.next_element()? {
        texts.push(text);
    }
    Ok(texts)
}

/// The short form of something, or its long one.
pub(super) enum Form<T> {
    Short(String),
    Long(T),
}

impl<'de, T: Deserialize<'de> + Merge> Deserialize<'de> for Form<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de> + Merge> Visitor<'de> for Reader<T> {
            type Value = Form<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a map")
            }

            scalars!(Form<T>, Form::Short);

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Form<T>, A::Error> {
                keys(map).map(|Keys(long)| Form::Long(long))
            }
        }

        deserializer.deserialize_any(Reader(PhantomData))
    }
}

/// Several of something in their short or long forms; one short one may stand alone.
pub(super) struct Forms<T>(pub(super) Vec<Form<T>>);

impl<'de, T: Deserialize<'de> + Merge> Deserialize<'de> for Forms<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de> + Merge> Visitor<'de> for Reader<T> {
            type Value = Forms<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            scalars!(Forms<T>, |text| Forms(vec![Form::Short(text)]));

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Forms<T>, A::Error> {
                Vec::deserialize(serde::de::value::SeqAccessDeserializer::new(list)).map(Forms)
            }
        }

        deserializer.deserialize_any(Reader(PhantomData))
    }
}

/// Names alone, or names with something said of each.
pub(super) enum Listed<V> {
    List(Vec<String>),
    Map(BTreeMap<String, V>),
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Listed<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<V>(PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for Reader<V> {
            type Value = Listed<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list or a map")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Listed<V>, A::Error> {
                texts(list).map(Listed::List)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Listed<V>, A::Error> {
                names(map).map(|Names(map)| Listed::Map(map))
            }
        }

        deserializer.deserialize_any(Reader(PhantomData))
    }
}
