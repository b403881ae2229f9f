//! The headers as C11 and as C++17, every warning an error.

use std::fmt::Write as _;

use causeway_abi::contract::{Kind, facts};
use causeway_abi::toolchain::{Language, compile, root};

const BOTH: [Language; 2] = [Language::C11, Language::Cxx17];

/// A program that assigns every function of the reference to a pointer of exactly the printed type.
fn pointers_to_every_function() -> String {
    let text = std::fs::read_to_string(root().join("tests/abi/reference/machnet.txt"))
        .expect("the reference is in the tree");
    let mut program = String::from("#include \"machnet.h\"\n");
    for fact in facts(&text).expect("the reference is well formed") {
        if fact.kind == Kind::Function {
            let pointer = fact.text.replacen(&fact.item, &format!("(*const p_{})", fact.item), 1);
            writeln!(program, "extern {pointer};\n{pointer} = {};", fact.item)
                .expect("a string takes what is written");
        }
    }
    program
}

#[test]
fn the_header_compiles_alone_and_twice() {
    for language in BOTH {
        let source =
            "#include \"machnet.h\"\n#include \"machnet.h\"\nint x = (int)sizeof(MachnetFlow_t);\n";
        compile(language, "alone", source).unwrap_or_else(|e| panic!("{e:#}"));
        let upstream = source.replace("machnet.h", "upstream/machnet.h");
        compile(language, "upstream", &upstream).unwrap_or_else(|e| panic!("{e:#}"));
    }
}

/// Contract: machnet_init, machnet_attach, machnet_listen, machnet_connect, machnet_send, machnet_recv
#[test]
fn every_function_has_exactly_the_type_of_the_reference() {
    for language in BOTH {
        compile(language, "types", &pointers_to_every_function())
            .unwrap_or_else(|e| panic!("{e:#}"));
    }
}

/// Contract: MachnetChannelCtx_t, MachnetFlow_t, MachnetMsgId_t
#[test]
fn the_types_are_used_as_in_the_reference() {
    let source = "#include \"machnet.h\"\n\
        int use(MachnetChannelCtx_t *ctx, MachnetFlow_t flow, const char *text);\n\
        int use(MachnetChannelCtx_t *ctx, MachnetFlow_t flow, const char *text) {\n\
          MachnetMsgId_t id = 0;\n\
          MachnetFlow_t sender = flow;\n\
          return machnet_send(ctx, sender, text, strlen(text), &id);\n\
        }\n";
    for language in BOTH {
        compile(language, "use", source).unwrap_or_else(|e| panic!("{e:#}"));
    }
}

#[test]
fn a_wrong_type_would_be_noticed() {
    let wrong = pointers_to_every_function().replace("uint16_t port", "uint32_t port");
    for language in BOTH {
        assert!(compile(language, "wrong", &wrong).is_err(), "{language:?} accepts another type");
    }
}
