#![allow(clippy::all, warnings)]
use locule::*;
use serde_json::Value;
fn main(){
 let memories: Vec<String> = serde_json::from_str(include_str!("../quality/memories.json")).unwrap();
 let questions: Value = serde_json::from_str(include_str!("../quality/questions.json")).unwrap();
 let d=std::env::temp_dir().join("sweep"); let _=std::fs::remove_dir_all(&d);
 let e=Engine::open(Config::at(&d)).unwrap(); let u=e.trusted_user("a","b").unwrap(); let r=Request::default();
 let s=e.gate().write(&u,Target::Own,Act::WriteMemories,&r).unwrap();
 let ids:Vec<_>=e.add(s,memories.iter().map(|m|NewMemory::text(m.clone())).collect()).unwrap().into_iter().map(|a|a.memory.id).collect();
 let mut out=vec![];
 for q in questions.as_array().unwrap(){ let t=q["question"].as_str().unwrap(); let s=e.gate().read(&u,Target::Own,Act::ReadMemories,&r).unwrap();
  let hits=e.search(s,&SearchQuery{limit:1000,..SearchQuery::text(t)}).unwrap();
  out.push(serde_json::json!({"right":q["memory"],"kind":q["kind"],"hits":hits.iter().map(|h|serde_json::json!([ids.iter().position(|i|*i==h.memory.id),h.parts.cosine,h.parts.words])).collect::<Vec<_>>()})); }
 println!("{}",serde_json::to_string(&out).unwrap());
}
