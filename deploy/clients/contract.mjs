// What apps rely on against what we serve, judged by npm `@graphql-inspector/core`: any breaking change fails.
import { readFileSync } from 'node:fs';
import { CriticalityLevel, diff } from '@graphql-inspector/core';
import { buildSchema } from 'graphql';

const [contract, served] = process.argv.slice(2).map((file) => buildSchema(readFileSync(file, 'utf8')));
const changes = await diff(contract, served);
const of = (level) => changes.filter(({ criticality }) => criticality.level === level);
const breaking = of(CriticalityLevel.Breaking);

for (const { path, message } of breaking) console.log(`breaking: ${path}: ${message}`);
const counts = [
  `${breaking.length} breaking changes`,
  `${of(CriticalityLevel.Dangerous).length} dangerous`,
  `${of(CriticalityLevel.NonBreaking).length} additions and relaxations`,
];
console.log(`the contract has ${Object.keys(contract.getTypeMap()).length} types: ${counts.join(', ')}`);
process.exit(breaking.length ? 1 : 0);
