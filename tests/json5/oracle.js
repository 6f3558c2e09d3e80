// SPDX-License-Identifier: BSD-2-Clause
// Documents in, as a JSON array of strings; what the npm package json5 reads in each
// out, as an array of [value] or null.  JSON has no Infinity and NaN: a string with a
// NUL before it stands for them.
'use strict';
const JSON5 = require('json5');

const seen = (key, v) => typeof v === 'number' && !Number.isFinite(v) ? '\0' + v : v;
const read = (text) => {
	try {
		return [JSON5.parse(text)];
	} catch (e) {
		return null;
	}
};
const texts = JSON.parse(require('fs').readFileSync(0, 'utf8'));
process.stdout.write(JSON.stringify(texts.map(read), seen));
