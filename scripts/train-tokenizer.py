#!/usr/bin/env python3
"""Train assets/tokenizer/tokenizer.json: a byte-level BPE with Llama 3's splitting rule and special tokens.

usage: train-tokenizer.py OUT VOCABULARY_SIZE FILE...     (needs `pip install tokenizers`)

The shipped file was trained on English technical prose and code under permissive licences: the Node.js
documentation and README (MIT), the Rust books (MIT or Apache-2.0), the AWS CLI's manuals (Apache-2.0), CMake's manual
(BSD-3-Clause), CPython's library source with its docstrings (PSF-2.0) and recorded agent prompts from
LMCache/lmcache-agent-trace (Apache-2.0). Only word statistics end up in the file; none of the text does.
"""
import collections, gzip, html, json, re, sys
from tokenizers import Tokenizer, Regex, models, pre_tokenizers, decoders, trainers, processors

out, size, files = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
         r"|\s*[\r\n]+|\s+(?!\S)|\s+")
SPECIAL = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]

# Words of this field and of everyday requests that such a corpus has too little of.
GLOSSARY = """latency scheduler router routing workload workloads throughput prefill decode replica replicas gateway balance
 balanced inference tokens kubernetes minikube openshift prometheus grafana deployment deployments ecosystem partners
 benchmark benchmarks benchmarking practice practices platform optimizations collecting measure measures wondering
 wonderful furthermore finally please hope helps explain summarize compare integrate construct""".split()

def texts():
    for name in files:
        opened = gzip.open(name, "rt", errors="replace") if name.endswith(".gz") else open(name, errors="replace")
        with opened as f:
            text = f.read()
        service = "service-2.json" in name
        if service:
            text = " ".join(re.findall(r'"documentation":"((?:[^"\\]|\\.)*)"', text))
        if service or name.endswith(".html"):
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
# A word counts by the number of files it is in, not by how often: language outweighs boilerplate and identifiers.
splitter = pre_tokenizers.Split(Regex(SPLIT), behavior="isolated")
counts = collections.Counter(word for text in texts() for word in {w for w, _ in splitter.pre_tokenize_str(text)})
counts.update({form: 200 for word in GLOSSARY for form in (" " + word, " " + word.capitalize())})
words = (word for word, count in sorted(counts.items()) if count > 4 for _ in range(count))
tokenizer.train_from_iterator(words, trainers.BpeTrainer(
    vocab_size=size, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    max_token_length=24, show_progress=False))
tokenizer.post_processor = processors.TemplateProcessing(
    single="<|begin_of_text|> $A", pair="<|begin_of_text|> $A <|begin_of_text|> $B",
    special_tokens=[("<|begin_of_text|>", tokenizer.token_to_id("<|begin_of_text|>"))])
document = json.loads(tokenizer.to_str())
document["model"]["merges"] = [" ".join(pair) for pair in document["model"]["merges"]]  # half the time to parse
with open(out, "w") as f:
    json.dump(document, f, ensure_ascii=False, separators=(",", ":"))
    f.write("\n")
