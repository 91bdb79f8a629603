//! The PostgreSQL that keep spaces beside the one with the directory.

use std::collections::BTreeMap;

use locule::Cluster;
use locule::postgres::Address;

use super::setting::{Setting, quoted};

/// By name: where it is, and its share of new users.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clusters(pub BTreeMap<String, (String, u32)>);

const FORM: &str = "it is a table of names with a URL each, or with `{ url = \"…\", weight = 2 }`; in a variable \
     `name=url name*2=url`";

impl Clusters {
    fn checked(self) -> Result<Self, String> {
        for (name, (url, _)) in &self.0 {
            let plain = |error: locule::Error| error.detail().trim_end_matches('.').to_owned();
            Cluster::check_name(name).map_err(plain)?;
            Address::parse(url).map_err(|error| format!("{name}: {}", plain(error)))?;
        }
        Ok(self)
    }

    /// For the engine.
    pub fn engine(&self) -> Vec<Cluster> {
        let parsed = self.0.iter().filter_map(|(name, (url, weight))| {
            // They were checked when the configuration was read.
            let address = Address::parse(url).ok()?;
            Some(Cluster { name: name.clone(), address, weight: *weight })
        });
        parsed.collect()
    }
}

impl Setting for Clusters {
    const KIND: &'static str = "table";

    fn from_text(text: &str) -> Result<Self, String> {
        let mut clusters = BTreeMap::new();
        for item in text.split_whitespace() {
            let (name, url) = item.split_once('=').ok_or(FORM)?;
            let (name, weight) = match name.split_once('*') {
                Some((name, weight)) => (name, weight.parse().map_err(|_| FORM)?),
                None => (name, 1),
            };
            clusters.insert(name.to_owned(), (url.to_owned(), weight));
        }
        Clusters(clusters).checked()
    }

    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        let mut clusters = BTreeMap::new();
        for (name, value) in value.as_table().ok_or(FORM)? {
            let cluster = match value {
                toml::Value::String(url) => (url.clone(), 1),
                toml::Value::Table(table) if table.keys().all(|key| ["url", "weight"].contains(&&**key)) => {
                    let url = table.get("url").and_then(toml::Value::as_str).ok_or(FORM)?;
                    let weight = table.get("weight").map_or(Some(1), toml::Value::as_integer);
                    (url.to_owned(), weight.and_then(|weight| u32::try_from(weight).ok()).ok_or(FORM)?)
                }
                _ => return Err(FORM.to_owned()),
            };
            clusters.insert(name.clone(), cluster);
        }
        Clusters(clusters).checked()
    }

    fn shown(&self) -> Option<String> {
        let item = |(name, (url, weight)): (&String, &(String, u32))| {
            format!("{name} = {{ url = {}, weight = {weight} }}", quoted(url))
        };
        let items: Vec<_> = self.0.iter().map(item).collect();
        if items.is_empty() { None } else { Some(format!("{{ {} }}", items.join(", "))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_and_a_text_say_the_same() {
        let text = Clusters::from_text("berlin=postgres://b/app paris*3=postgres://p/app").unwrap();
        let table: toml::Value =
            toml::from_str("berlin = \"postgres://b/app\"\n[paris]\nurl = \"postgres://p/app\"\nweight = 3").unwrap();
        assert_eq!(Clusters::from_toml(&table).unwrap(), text);
        assert_eq!(text.engine().iter().map(|cluster| cluster.weight).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(Clusters::from_text("").unwrap(), Clusters::default());
        for bad in ["berlin", "main=postgres://m/app", "Berlin=postgres://b/app", "a*x=postgres://b/app", "a=mysql://b"]
        {
            assert!(Clusters::from_text(bad).is_err(), "{bad}");
        }
        for bad in ["a = 5", "[a]\nweight = 1", "[a]\nurl = \"postgres://b/app\"\nwait = 1"] {
            assert!(Clusters::from_toml(&toml::from_str(bad).unwrap()).is_err(), "{bad}");
        }
    }
}
