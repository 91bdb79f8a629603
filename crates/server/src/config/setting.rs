//! A setting: a value with a name, a default and a meaning, that a file, the environment or a flag can give.

use std::net::SocketAddr;
use std::path::PathBuf;

/// A value that can be given as text, and as TOML.
pub trait Setting: Sized {
    /// What TOML calls such a value.
    const KIND: &'static str;

    /// From the environment or a flag.
    fn from_text(text: &str) -> Result<Self, String>;

    /// From the file: the same text, if TOML has it as the right kind of value.
    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        match value {
            value if value.type_str() != Self::KIND => {
                Err(format!("it is a TOML {}, and this is a TOML {}", Self::KIND, value.type_str()))
            }
            toml::Value::String(text) => Self::from_text(text),
            value => Self::from_text(&value.to_string()),
        }
    }

    /// As it would stand in the file; `None` when there is nothing to stand there.
    fn shown(&self) -> Option<String>;
}

macro_rules! numbers {
    ($($type:ty),*) => {$(
        impl Setting for $type {
            const KIND: &'static str = "integer";

            fn from_text(text: &str) -> Result<Self, String> {
                text.parse().map_err(|_| format!("it is a whole number from 0 to {}", <$type>::MAX))
            }

            fn shown(&self) -> Option<String> {
                Some(self.to_string())
            }
        }
    )*};
}

numbers!(u32, u64, usize);

impl Setting for bool {
    const KIND: &'static str = "boolean";

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "it is `true` or `false`".to_owned())
    }

    fn shown(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Setting for String {
    const KIND: &'static str = "string";

    fn from_text(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }

    fn shown(&self) -> Option<String> {
        Some(quoted(self))
    }
}

impl Setting for PathBuf {
    const KIND: &'static str = "string";

    fn from_text(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("it is a path".to_owned()) } else { Ok(PathBuf::from(text)) }
    }

    fn shown(&self) -> Option<String> {
        Some(quoted(&self.to_string_lossy()))
    }
}

impl Setting for SocketAddr {
    const KIND: &'static str = "string";

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "it is an address and a port, such as `127.0.0.1:7400` or `[::1]:7400`".to_owned())
    }

    fn shown(&self) -> Option<String> {
        Some(quoted(&self.to_string()))
    }
}

/// An empty text takes a value back, so that the environment can undo what a file says.
impl<T: Setting> Setting for Option<T> {
    const KIND: &'static str = T::KIND;

    fn from_text(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { T::from_text(text).map(Some) }
    }

    fn shown(&self) -> Option<String> {
        self.as_ref().and_then(Setting::shown)
    }
}

/// A list is an array in the file, and its items with commas between them elsewhere.
impl Setting for Vec<String> {
    const KIND: &'static str = "array";

    fn from_text(text: &str) -> Result<Self, String> {
        Ok(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect())
    }

    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        let texts = |items: &Vec<toml::Value>| items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
        value.as_array().and_then(texts).ok_or_else(|| "it is a TOML array of strings".to_owned())
    }

    fn shown(&self) -> Option<String> {
        let items: Vec<String> = self.iter().map(|item| quoted(item)).collect();
        Some(format!("[{}]", items.join(", ")))
    }
}

/// A string as TOML writes it.
pub fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A setting that is one of a few words.
macro_rules! words {
    ($(#[doc = $about:literal])+ pub enum $name:ident { $($(#[doc = $doc:literal])+ $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[doc = $about])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[doc = $doc])+ $variant),+ }

        impl $crate::config::setting::Setting for $name {
            const KIND: &'static str = "string";

            fn from_text(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok($name::$variant),)+
                    _ => Err(format!("it is one of {}", [$(concat!("`", $word, "`")),+].join(", "))),
                }
            }

            fn shown(&self) -> Option<String> {
                Some($crate::config::setting::quoted(match self { $($name::$variant => $word),+ }))
            }
        }
    };
}
pub(crate) use words;

/// A section of the configuration as the loader and the reference see it.
pub trait Section {
    /// What stands in brackets in the file; empty for the settings before the first brackets.
    fn name(&self) -> &'static str;

    /// What the section is about.
    fn about(&self) -> &'static str;

    /// Every setting with its present value.
    fn rows(&self) -> Vec<Row>;

    /// Sets one, or says what is wrong. `None` when there is no such setting.
    fn set(&mut self, key: &str, value: &Given) -> Option<Result<(), String>>;
}

/// One setting as people see it.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name within the section.
    pub key: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// Its value as it would stand in the file.
    pub value: Option<String>,
    /// Whether the value is nobody's to see.
    pub secret: bool,
}

/// A value as it was given.
pub enum Given<'a> {
    /// In the environment or with a flag.
    Text(&'a str),
    /// In the file.
    Toml(&'a toml::Value),
}

impl Given<'_> {
    pub fn read<T: Setting>(&self) -> Result<T, String> {
        match self {
            Given::Text(text) => T::from_text(text),
            Given::Toml(value) => T::from_toml(value),
        }
    }
}

/// A section: each field with its meaning above it and its default beside it; `plain`, or `secret` if nobody may see its value.
macro_rules! section {
    ($(#[doc = $about:literal])+ pub struct $name:ident in $section:literal {
        $($(#[doc = $doc:literal])+ $shown:ident $field:ident: $type:ty = $default:expr;)+
    }) => {
        $(#[doc = $about])+
        #[derive(Clone)]
        pub struct $name { $($(#[doc = $doc])+ pub $field: $type),+ }

        impl Default for $name {
            fn default() -> Self {
                $name { $($field: $default),+ }
            }
        }

        impl $crate::config::setting::Section for $name {
            fn name(&self) -> &'static str {
                $section
            }

            fn about(&self) -> &'static str {
                concat!($($about),+).trim_ascii()
            }

            fn rows(&self) -> Vec<$crate::config::setting::Row> {
                vec![$($crate::config::setting::Row {
                    key: stringify!($field),
                    meaning: concat!($($doc),+).trim_ascii(),
                    value: $crate::config::setting::Setting::shown(&self.$field),
                    secret: stringify!($shown) == "secret",
                }),+]
            }

            fn set(&mut self, key: &str, value: &$crate::config::setting::Given) -> Option<Result<(), String>> {
                match key {
                    $(stringify!($field) => Some(value.read::<$type>().map(|value| self.$field = value)),)+
                    _ => None,
                }
            }
        }
    };
}
pub(crate) use section;
