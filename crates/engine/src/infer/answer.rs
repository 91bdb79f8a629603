//! How a model's answer is read.
//!
//! Models wrap their answers in prose, in code fences and in thoughts, and name things as they please: all of that is taken.
//! What comes of it is bounded, and what is beyond the bounds is not cut down but refused: half an answer is none.

use locule_core::limit;
use locule_core::settings::Category;
use serde_json::{Map, Value};

/// At how many places of an answer a JSON document is looked for.
const PLACES_MAX: usize = 64;

/// A statement that a model found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// The statement.
    pub text: String,
    /// Its labels, out of those there are.
    pub categories: Vec<String>,
}

/// Instructions that a model wrote, and a message to try them with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guidance {
    /// The instructions.
    pub custom_instructions: String,
    /// The message.
    pub test_message: String,
}

/// Why an answer cannot be used. Nothing of the answer itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable(pub String);

/// The facts of an answer, with those labels that are among `categories`.
pub fn facts(answer: &str, categories: &[Category]) -> Result<Vec<Fact>, Unusable> {
    let listed = documents(answer).find_map(list).ok_or_else(|| Unusable("it holds no list of facts".to_owned()))?;
    if listed.len() > limit::FACTS.max {
        return Err(Unusable(format!("{} facts, and at most {} are believed", listed.len(), limit::FACTS.max)));
    }
    let mut found: Vec<Fact> = Vec::with_capacity(listed.len());
    for item in &listed {
        let fact = one(item, categories)?;
        // A blank says nothing, and what is said twice was said once.
        if !fact.text.is_empty() && found.iter().all(|before| before.text != fact.text) {
            found.push(fact);
        }
    }
    Ok(found)
}

/// The list of facts in a document, if that is what it is.
fn list(document: Value) -> Option<Vec<Value>> {
    let names = ["facts", "memories", "memory"];
    match document {
        Value::Object(mut fields) => match names.into_iter().find_map(|name| fields.remove(name)) {
            Some(Value::Array(items)) => Some(items),
            _ => None,
        },
        Value::Array(items) if items.iter().all(|item| item.is_string() || text_of(item).is_some()) => Some(items),
        _ => None,
    }
}

fn text_of(item: &Value) -> Option<&str> {
    match item {
        Value::String(text) => Some(text),
        Value::Object(fields) => ["text", "fact", "memory"].into_iter().find_map(|name| fields.get(name)?.as_str()),
        _ => None,
    }
}

fn one(item: &Value, categories: &[Category]) -> Result<Fact, Unusable> {
    let text = text_of(item).ok_or_else(|| Unusable("a fact without a text".to_owned()))?.trim();
    bounded(text, limit::FACT_BYTES.max, "fact")?;
    let labels = item.get("categories").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let known = |label: &Value| {
        let label = label.as_str()?.trim();
        categories.iter().find(|category| category.name.eq_ignore_ascii_case(label)).map(|found| found.name.clone())
    };
    let mut labels: Vec<String> = labels.iter().filter_map(known).collect();
    labels.sort();
    labels.dedup();
    Ok(Fact { text: text.to_owned(), categories: labels })
}

/// The summary that an answer is.
pub fn summary(answer: &str) -> Result<String, Unusable> {
    let text = without_fence(without_thoughts(answer).trim());
    if text.is_empty() {
        return Err(Unusable("it says nothing".to_owned()));
    }
    bounded(text, limit::SUMMARY_BYTES.max, "summary")?;
    Ok(text.to_owned())
}

/// The JSON object of an answer.
pub fn object(answer: &str) -> Result<Map<String, Value>, Unusable> {
    let mut found = documents(answer).filter_map(|document| match document {
        Value::Object(fields) => Some(fields),
        _ => None,
    });
    found.next().ok_or_else(|| Unusable("it holds no JSON object".to_owned()))
}

/// The instructions of an answer.
pub fn guidance(answer: &str) -> Result<Guidance, Unusable> {
    let object = object(answer)?;
    let text = |name: &str| {
        let text = object.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
        let text = text.ok_or_else(|| Unusable(format!("it holds no `{name}`")))?;
        bounded(text, limit::FACT_BYTES.max, name)?;
        Ok(text.to_owned())
    };
    Ok(Guidance { custom_instructions: text("custom_instructions")?, test_message: text("test_message")? })
}

fn bounded(text: &str, bytes_max: usize, name: &str) -> Result<(), Unusable> {
    if text.contains('\0') {
        return Err(Unusable(format!("a {name} with a zero byte")));
    }
    if text.len() > bytes_max {
        return Err(Unusable(format!("a {name} of {} bytes, and at most {bytes_max} are believed", text.len())));
    }
    Ok(())
}

/// Every JSON object and list that begins somewhere in the answer and stands in no other.
fn documents(answer: &str) -> impl Iterator<Item = Value> {
    let mut rest = without_thoughts(answer);
    let mut places = 0;
    std::iter::from_fn(move || {
        while places < PLACES_MAX {
            let start = rest.find(['{', '['])?;
            rest = &rest[start..];
            places += 1;
            let mut read = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
            if let Some(Ok(document)) = read.next() {
                rest = &rest[read.byte_offset()..];
                return Some(document);
            }
            rest = &rest[1..];
        }
        None
    })
}

/// What is said after the thinking that some models do aloud.
fn without_thoughts(answer: &str) -> &str {
    answer.rsplit_once("</think>").map_or(answer, |(_, said)| said)
}

/// The text between code fences, if it stands between some.
fn without_fence(text: &str) -> &str {
    let inner = text.strip_prefix("```").and_then(|text| text.strip_suffix("```"));
    let inner = inner.and_then(|text| text.split_once('\n')).map(|(_, text)| text);
    inner.unwrap_or(text).trim()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn texts(answer: &str) -> Result<Vec<String>, Unusable> {
        facts(answer, &[]).map(|found| found.into_iter().map(|fact| fact.text).collect())
    }

    #[test]
    fn facts_are_found_in_whatever_they_are_wrapped() {
        for answer in [
            r#"{"facts": [{"text": "likes tea"}, {"text": "has a cat"}]}"#,
            "```json\n{\"facts\": [\"likes tea\", \"has a cat\"]}\n```",
            "Here is {what} I found [1]: {\"memory\": [{\"id\": \"0\", \"text\": \"likes tea\"}, {\"fact\": \" has a cat \"}]} Enjoy!",
            r#"["likes tea", "has a cat", "", "likes tea"]"#,
            "<think>Perhaps {\"facts\": [\"wrong\"]}?</think>{\"facts\": [\"likes tea\", \"has a cat\"]}",
        ] {
            assert_eq!(texts(answer), Ok(vec!["likes tea".to_owned(), "has a cat".to_owned()]), "{answer}");
        }
        assert_eq!(texts(r#"{"facts": []}"#), Ok(Vec::new()));
    }

    #[test]
    fn what_is_no_answer_is_a_failure_and_not_nothing() {
        let long = json!({"facts": ["x".repeat(limit::FACT_BYTES.max + 1)]}).to_string();
        let many = json!({"facts": (0..=limit::FACTS.max).map(|n| n.to_string()).collect::<Vec<_>>()}).to_string();
        for answer in [
            "",
            "I could not find anything.",
            "{}",
            r#"{"facts": "likes tea"}"#,
            r#"{"facts": [7]}"#,
            r#"{"facts": [{"texts": "likes tea"}]}"#,
            r#"{"facts": [{"text": "likes te"#,
            r#"{"facts": ["a\u0000b"]}"#,
            "[1, 2]",
            "{{{{{{[[[[[",
            &long,
            &many,
        ] {
            assert!(texts(answer).is_err(), "{answer:.80}");
        }
    }

    #[test]
    fn only_labels_that_exist_are_given() {
        let there = [Category { name: "Travel".to_owned(), description: None }];
        let answer = r#"{"facts": [{"text": "a", "categories": ["travel", "TRAVEL", "made up", 7]}, {"text": "b", "categories": "Travel"}]}"#;
        let found = facts(answer, &there).unwrap();
        assert_eq!((&found[0].categories, &found[1].categories), (&vec!["Travel".to_owned()], &Vec::new()));
    }

    #[test]
    fn a_summary_is_a_text_within_bounds() {
        assert_eq!(summary("```markdown\nIt went well.\n```").unwrap(), "It went well.");
        assert_eq!(summary("<think>hm</think>\n It went well. ").unwrap(), "It went well.");
        assert!(summary(" ").is_err() && summary("``````").is_ok());
        assert!(summary(&"x".repeat(limit::SUMMARY_BYTES.max + 1)).is_err());
    }

    #[test]
    fn guidance_has_both_its_parts() {
        let good = guidance(r#"Sure: {"custom_instructions": "note diets", "test_message": "I am vegan"}"#).unwrap();
        assert_eq!((&*good.custom_instructions, &*good.test_message), ("note diets", "I am vegan"));
        assert!(guidance(r#"{"custom_instructions": "note diets"}"#).is_err());
        assert!(guidance("[]").is_err());
    }

    proptest! {
        #[test]
        fn no_garbage_passes_a_bound(answer in r#"([{}\[\]",:\\a-z0-9 ]|"facts": \[|"text": "|é|\n){0,200}"#) {
            for fact in facts(&answer, &[]).unwrap_or_default() {
                prop_assert!(!fact.text.trim().is_empty() && fact.text.len() <= limit::FACT_BYTES.max);
                prop_assert!(fact.categories.is_empty());
            }
            let _ = (summary(&answer), object(&answer), guidance(&answer));
        }

        #[test]
        fn what_was_found_is_found_whatever_stands_around_it(
            before in "[a-z .,:é\n]{0,50}",
            after in ".{0,50}",
            found in prop::collection::btree_set("[a-zA-Z\"\\\\{}\\[\\]é]{1,40}", 0..10),
        ) {
            let found: Vec<String> = found.into_iter().collect();
            let answer = format!("{before}{}{after}", json!({ "facts": found }));
            prop_assume!(!answer.contains("</think>"));
            prop_assert_eq!(texts(&answer), Ok(found));
        }
    }
}
