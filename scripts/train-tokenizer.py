#!/usr/bin/env python3
"""Train assets/tokenizer/tokenizer.json: a byte-level BPE with Llama 3's splitting rule and special tokens.

usage: train-tokenizer.py OUT VOCABULARY_SIZE FILE...     (needs `pip install tokenizers`)

The shipped file was trained on English technical prose and code under permissive licences: the Node.js
documentation and README (MIT), the Rust books and documentation (MIT or Apache-2.0), CPython's library source with
its docstrings (PSF-2.0) and recorded agent prompts from LMCache/lmcache-agent-trace (Apache-2.0). Only word
statistics end up in the file; none of the text does.
"""
import json, sys, re, html, gzip
from tokenizers import Tokenizer, Regex, models, pre_tokenizers, decoders, trainers, processors

out, size, files = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
         r"|\s*[\r\n]+|\s+(?!\S)|\s+")
SPECIAL = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]

def texts():
    for name in files:
        opened = gzip.open(name, "rt", errors="replace") if name.endswith(".gz") else open(name, errors="replace")
        with opened as f:
            text = f.read()
        if name.endswith(".html"):
            text = re.sub(r"(?s)<(script|style|head|nav).*?</\1>", " ", text)
            text = html.unescape(re.sub(r"<[^>]+>", "", text))
        if ".jsonl" in name:
            text = text.replace("\\n", "\n").replace('\\"', '"')
        yield text

tokenizer = Tokenizer(models.BPE(ignore_merges=True))
tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
    pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
tokenizer.decoder = decoders.ByteLevel()
tokenizer.train_from_iterator(texts(), trainers.BpeTrainer(
    vocab_size=size, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    max_token_length=24, show_progress=False))
tokenizer.post_processor = processors.TemplateProcessing(
    single="<|begin_of_text|> $A", pair="<|begin_of_text|> $A <|begin_of_text|> $B",
    special_tokens=[("<|begin_of_text|>", tokenizer.token_to_id("<|begin_of_text|>"))])
with open(out, "w") as f:
    json.dump(json.loads(tokenizer.to_str()), f, ensure_ascii=False, separators=(",", ":"))
    f.write("\n")
