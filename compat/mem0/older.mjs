// mem0's npm client of before (2.4), unmodified: older.mjs HOST KEY USER.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const [host, apiKey, user] = process.argv.slice(2);
const { MemoryClient } = createRequire(`${process.env.MODULES}/`)("mem0ai");
const client = new MemoryClient({ apiKey, host });
const results = (answer) => (Array.isArray(answer) ? answer : answer.results);

await client.ping();
const [added] = results(await client.add([{ role: "user", content: "I like green tea" }], { user_id: user, infer: false }));
assert.equal(added.event, "ADD");
await client.add([{ role: "user", content: "I run at night" }], { user_id: user, infer: false });
assert.equal(results(await client.getAll({ user_id: user })).length, 2);
assert.equal(results(await client.getAll({ filters: { user_id: user }, api_version: "v2" })).length, 2);
assert.equal((await client.getAll({ user_id: user, page: 1, page_size: 1 })).count, 2);
assert.equal(results(await client.search("what do I drink?", { user_id: user }))[0].id, added.id);
assert.equal(results(await client.search("drink", { filters: { user_id: user }, api_version: "v2" }))[0].id, added.id);
assert.equal((await client.get(added.id)).memory, "I like green tea");
await client.update(added.id, { text: "I like black tea" });
assert.deepEqual((await client.history(added.id)).map((line) => line.event), ["ADD", "UPDATE"]);
await client.delete(added.id);
await client.deleteAll({ user_id: user });
assert.equal(results(await client.getAll({ user_id: user })).length, 0);
console.log("ok");
process.exit(0);
