-- The typos of a word are looked up by the typos themselves, which follow from the word.
DROP INDEX {ws}.name_typos_of_word;
