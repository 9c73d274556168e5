//! A wasm module without what only a panic would need: its message, and where in the sources it happened.
//!
//! A panic in the Worker ends the instance, whatever it says: `entry.mjs` sees the trap and starts afresh. So whoever never
//! returns, and calls nothing of JavaScript's, may as well trap at once, and what was prepared for it need not be there. The
//! folders of the machine that built it are not uploaded either.

use std::collections::HashSet;
use std::ops::Range;

use anyhow::{Context as _, Result, bail};
use wasm_encoder::{ConstExpr, DataSection, Module, RawSection};
use wasmparser::{
    DataKind, ExternalKind, FunctionBody, KnownCustom, Name, NameSectionReader, Operator, Parser, Payload,
    TypeRef,
};

/// The same module with a trap in place of each panic.
pub(crate) fn trimmed(wasm: &[u8]) -> Result<Vec<u8>> {
    let code = Code::of(wasm)?;
    let panics = code.panics()?;
    let mut bodies = Vec::new();
    number(code.bodies.len(), &mut bodies)?;
    for (function, body) in (code.imported..).zip(&code.bodies) {
        let body =
            if panics.contains(&function) { TRAP.to_vec() } else { without_panics(wasm, body, &panics)? };
        number(body.len(), &mut bodies)?;
        bodies.extend(body);
    }
    let mut module = Module::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::CodeSectionStart { .. } => {
                module.section(&RawSection { id: 10, data: &bodies });
            }
            Payload::DataSection(section) => {
                let mut kept = DataSection::new();
                for segment in section {
                    let segment = segment?;
                    let DataKind::Active { offset_expr, memory_index: 0 } = segment.kind else {
                        bail!("a segment of data that has no place");
                    };
                    let Operator::I32Const { value } = offset_expr.get_operators_reader().read()? else {
                        bail!("a segment of data whose place is not a number");
                    };
                    kept.active(0, &ConstExpr::i32_const(value), without_places(segment.data, value)?);
                }
                module.section(&kept);
            }
            other => {
                if let Some((id, range)) = other.as_section() {
                    module.section(&RawSection { id, data: &wasm[range] });
                }
            }
        }
    }
    Ok(module.finish())
}

/// A number as LEB128.
fn number(number: usize, into: &mut Vec<u8>) -> Result<()> {
    let mut number = u32::try_from(number).context("more than 4 GiB")?;
    while number >= 0x80 {
        into.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    into.push(number.to_le_bytes()[0]);
    Ok(())
}

struct Code<'a> {
    /// How many functions are imported: they are counted first.
    imported: u32,
    /// Functions that JavaScript calls.
    exported: HashSet<u32>,
    /// Where all panics arrive. It tells the hook, which may tell JavaScript.
    arrival: u32,
    bodies: Vec<FunctionBody<'a>>,
}

impl<'a> Code<'a> {
    fn of(wasm: &'a [u8]) -> Result<Self> {
        let mut code = Self { imported: 0, exported: HashSet::new(), arrival: 0, bodies: Vec::new() };
        let mut found = None;
        for payload in Parser::new(0).parse_all(wasm) {
            match payload? {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        code.imported += u32::from(matches!(import?.ty, TypeRef::Func(_)));
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export?;
                        if matches!(export.kind, ExternalKind::Func) {
                            code.exported.insert(export.index);
                        }
                    }
                }
                Payload::CodeSectionEntry(body) => code.bodies.push(body),
                Payload::CustomSection(section) => {
                    if let KnownCustom::Name(names) = section.as_known() {
                        found = arrival(names)?;
                    }
                }
                _ => {}
            }
        }
        code.arrival =
            found.context("no function is named rust_begin_unwind: is this rustc's, with its names?")?;
        Ok(code)
    }

    /// Functions that never return, and that call nothing of JavaScript's, which could throw instead of trapping.
    fn panics(&self) -> Result<HashSet<u32>> {
        let mut panics = HashSet::from([self.arrival]);
        loop {
            let before = panics.len();
            for (function, body) in (self.imported..).zip(&self.bodies) {
                if !panics.contains(&function) && !returns(body, &panics)? {
                    panics.insert(function);
                }
            }
            if panics.len() == before {
                break;
            }
        }
        let mut calls = Vec::new();
        for body in &self.bodies {
            let mut called = Vec::new();
            for operator in body.get_operators_reader()? {
                if let Operator::Call { function_index } = operator? {
                    called.push(function_index);
                }
            }
            calls.push(called);
        }
        // What reaches JavaScript, callers after those that they call, until nothing changes. What the hook does is let go.
        let mut outward: HashSet<u32> = (0..self.imported).collect();
        loop {
            let before = outward.len();
            for (function, called) in (self.imported..).zip(&calls) {
                if function != self.arrival && called.iter().any(|called| outward.contains(called)) {
                    outward.insert(function);
                }
            }
            if outward.len() == before {
                break;
            }
        }
        panics.retain(|function| !outward.contains(function));
        Ok(panics)
    }
}

/// Whether the function may come to its end, if none of `panics` does.
fn returns(body: &FunctionBody<'_>, panics: &HashSet<u32>) -> Result<bool> {
    struct Open {
        /// Something leaps to its end.
        reached: bool,
        /// Its end is where it begins.
        is_loop: bool,
        /// Without an `else` it may be passed by.
        passed: bool,
    }
    fn leap(open: &mut [Open], depth: u32) {
        let at = open.len().saturating_sub(depth as usize + 1);
        if let Some(target) = open.get_mut(at) {
            target.reached |= !target.is_loop;
        }
    }
    let mut open = vec![Open { reached: false, is_loop: false, passed: false }];
    let mut here = true;
    for operator in body.get_operators_reader()? {
        match operator? {
            Operator::Block { .. } => open.push(Open { reached: false, is_loop: false, passed: false }),
            Operator::Loop { .. } => open.push(Open { reached: false, is_loop: true, passed: false }),
            Operator::If { .. } => open.push(Open { reached: false, is_loop: false, passed: here }),
            Operator::Else => {
                if let Some(own) = open.last_mut() {
                    own.reached |= here;
                    here = std::mem::take(&mut own.passed);
                }
            }
            Operator::End => {
                let Some(own) = open.pop() else { break };
                here |= own.reached || own.passed;
            }
            Operator::Br { relative_depth } if here => {
                leap(&mut open, relative_depth);
                here = false;
            }
            Operator::BrIf { relative_depth } if here => leap(&mut open, relative_depth),
            Operator::BrTable { targets } if here => {
                leap(&mut open, targets.default());
                for target in targets.targets() {
                    leap(&mut open, target?);
                }
                here = false;
            }
            Operator::Return if here => return Ok(true),
            Operator::Unreachable => here = false,
            Operator::Call { function_index } if panics.contains(&function_index) => here = false,
            _ => {}
        }
    }
    Ok(here)
}

/// The panic handler, by the name that every one has.
fn arrival(names: NameSectionReader<'_>) -> Result<Option<u32>> {
    for names in names {
        if let Name::Function(functions) = names? {
            for function in functions {
                let function = function?;
                if function.name.contains("rust_begin_unwind") {
                    return Ok(Some(function.index));
                }
            }
        }
    }
    Ok(None)
}

const UNREACHABLE: u8 = 0x00;
const END: u8 = 0x0b;
/// A function that only traps: no locals, and one instruction.
const TRAP: &[u8] = &[0, UNREACHABLE, END];

/// The body with a trap wherever one of `panics` is called, and without whatever is done just before a trap.
fn without_panics(wasm: &[u8], body: &FunctionBody<'_>, panics: &HashSet<u32>) -> Result<Vec<u8>> {
    let mut reader = body.get_operators_reader()?;
    let start = reader.original_position();
    let mut kept = wasm[body.range().start..start].to_vec();
    // Nothing before here is taken back: something may happen there that is seen outside.
    let mut floor = kept.len();
    // In code that is never reached: how many blocks deep.
    let mut dead = None;
    while !reader.eof() {
        let from = reader.original_position();
        let operator = reader.read()?;
        let bytes = &wasm[Range { start: from, end: reader.original_position() }];
        let opens = matches!(operator, Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. });
        let closes = matches!(operator, Operator::End);
        if let Some(depth) = &mut dead {
            match (opens, closes, *depth) {
                (true, ..) => *depth += 1,
                (_, true, 1..) => *depth -= 1,
                (_, true, 0) => dead = None,
                _ if *depth == 0 && matches!(operator, Operator::Else) => dead = None,
                _ => {}
            }
            if dead.is_some() {
                continue;
            }
        }
        let traps = match &operator {
            Operator::Unreachable => true,
            Operator::Call { function_index } => panics.contains(function_index),
            _ => false,
        };
        if traps {
            // What stands on the stack may stay there: nothing comes after a trap.
            kept.truncate(floor);
            kept.push(UNREACHABLE);
            dead = Some(0_u32);
            floor = kept.len();
            continue;
        }
        kept.extend_from_slice(bytes);
        if opens || closes || !is_quiet(&operator) {
            floor = kept.len();
        }
    }
    Ok(kept)
}

/// Whether nobody would know that this happened, if a trap followed at once.
fn is_quiet(operator: &Operator<'_>) -> bool {
    !matches!(
        operator,
        Operator::Else
            | Operator::Br { .. }
            | Operator::BrIf { .. }
            | Operator::BrTable { .. }
            | Operator::Return
            | Operator::Call { .. }
            | Operator::CallIndirect { .. }
            | Operator::ReturnCall { .. }
            | Operator::ReturnCallIndirect { .. }
    )
}

/// Data in which every place in the sources is blank: a pointer to a file's name, its length, a line and a column. What only
/// a panic would have read.
fn without_places(data: &[u8], start: i32) -> Result<Vec<u8>> {
    let start = usize::try_from(start).context("a segment's place")?;
    let word = |at: usize| {
        let bytes: [u8; 4] = data.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    };
    let mut blank = data.to_vec();
    let mut at = start.next_multiple_of(4) - start;
    while let (Some(pointer), Some(length), Some(line), Some(column)) =
        (word(at), word(at + 4), word(at + 8), word(at + 12))
    {
        let name = pointer.checked_sub(start).and_then(|name| data.get(name..name.checked_add(length)?));
        let is_file = |name: &&[u8]| name.ends_with(b".rs") && name.iter().all(u8::is_ascii_graphic);
        if let Some(name) = name.filter(is_file)
            && (1..100_000).contains(&line)
            && (1..1_000).contains(&column)
        {
            let name = pointer - start..pointer - start + name.len();
            blank[name].fill(0);
            blank[at..at + 16].fill(0);
            at += 16;
        } else {
            at += 4;
        }
    }
    Ok(blank)
}

#[cfg(test)]
mod tests {
    use wasm_encoder::{
        CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection, ImportSection,
        Instruction, MemorySection, MemoryType, NameMap, NameSection, TypeSection, ValType,
    };
    use wasmparser::Validator;

    use super::*;

    /// JavaScript's; where panics arrive; what tells them; what may panic and what throws; and what is called.
    const THROW: u32 = 0;
    const ARRIVAL: u32 = 1;
    const PANIC: u32 = 2;
    const CHECKED: u32 = 3;
    const THROWS: u32 = 4;

    fn module() -> Vec<u8> {
        let mut types = TypeSection::new();
        types.ty().function([ValType::I32], []);
        types.ty().function([ValType::I32], [ValType::I32]);
        let mut imports = ImportSection::new();
        imports.import("js", "throw", EntityType::Function(0));
        let (mut functions, mut code) = (FunctionSection::new(), CodeSection::new());
        let mut add = |of, instructions: &[Instruction<'_>]| {
            functions.function(of);
            let mut body = Function::new([]);
            instructions.iter().chain([&Instruction::End]).for_each(|instruction| {
                body.instruction(instruction);
            });
            code.function(&body);
        };
        // The hook tells JavaScript, and both ways end in a trap.
        let [zero, one] = [0, 1].map(Instruction::I32Const);
        add(0, &[zero.clone(), Instruction::Call(THROW), Instruction::Unreachable]);
        let either = Instruction::If(wasm_encoder::BlockType::Empty);
        add(
            0,
            &[
                Instruction::LocalGet(0),
                either.clone(),
                zero.clone(),
                Instruction::Call(ARRIVAL),
                Instruction::Else,
                one.clone(),
                Instruction::Call(ARRIVAL),
                Instruction::End,
            ],
        );
        add(
            1,
            &[
                Instruction::LocalGet(0),
                either,
                zero.clone(),
                one.clone(),
                Instruction::I32Add,
                Instruction::Call(PANIC),
                Instruction::Unreachable,
                Instruction::End,
                Instruction::LocalGet(0),
            ],
        );
        add(0, &[zero, Instruction::Call(THROW), Instruction::Unreachable]);
        let mut memories = MemorySection::new();
        let minimum = 1;
        memories.memory(MemoryType {
            minimum,
            maximum: None,
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
        let mut exports = ExportSection::new();
        exports.export("checked", ExportKind::Func, CHECKED).export("throws", ExportKind::Func, THROWS);
        let mut data = DataSection::new();
        let mut place = b"/home/src/a.rs\0\0".to_vec();
        [1024_u32, 14, 12, 5].map(u32::to_le_bytes).iter().for_each(|word| place.extend(word));
        place.extend(b"kept");
        data.active(0, &ConstExpr::i32_const(1024), place);
        let mut names = NameMap::new();
        names.append(ARRIVAL, "_RNvCs_17rust_begin_unwind");
        let mut name = NameSection::new();
        name.functions(&names);
        let mut module = Module::new();
        module.section(&types).section(&imports).section(&functions).section(&memories).section(&exports);
        module.section(&code).section(&data).section(&name);
        module.finish()
    }

    fn bodies(wasm: &[u8]) -> Vec<Vec<Operator<'_>>> {
        Validator::new().validate_all(wasm).unwrap();
        let code = Code::of(wasm).unwrap();
        let operators = |body: &FunctionBody<'_>| body.get_operators_reader().unwrap().into_iter().count();
        assert!(code.bodies.iter().map(operators).all(|count| count > 0));
        code.bodies
            .into_iter()
            .map(|body| body.get_operators_reader().unwrap().into_iter().map(Result::unwrap).collect())
            .collect()
    }

    #[test]
    fn panics_are_traps_and_nothing_is_prepared_for_them() {
        let wasm = trimmed(&module()).unwrap();
        let bodies = bodies(&wasm);
        let trap = vec![Operator::Unreachable, Operator::End];
        assert_eq!(bodies[0], trap, "where panics arrive");
        assert_eq!(bodies[1], trap, "what never returns, whichever way it goes");
        assert!(
            matches!(
                bodies[2].as_slice(),
                [
                    Operator::LocalGet { .. },
                    Operator::If { .. },
                    Operator::Unreachable,
                    Operator::End,
                    Operator::LocalGet { .. },
                    Operator::End
                ]
            ),
            "{:?}",
            bodies[2]
        );
    }

    #[test]
    fn what_throws_in_javascript_goes_on_throwing() {
        let wasm = trimmed(&module()).unwrap();
        assert!(bodies(&wasm)[3].contains(&Operator::Call { function_index: THROW }));
    }

    #[test]
    fn places_in_the_sources_are_blank() {
        let wasm = trimmed(&module()).unwrap();
        let data = Parser::new(0).parse_all(&wasm).find_map(|payload| match payload.unwrap() {
            Payload::DataSection(section) => Some(section.into_iter().next().unwrap().unwrap().data.to_vec()),
            _ => None,
        });
        let mut blank = vec![0; 32];
        blank.extend(b"kept");
        assert_eq!(data.unwrap(), blank);
    }

    #[test]
    fn a_module_without_names_is_refused() {
        let named = trimmed(&module()).unwrap();
        assert!(trimmed(&named[..8]).is_err());
    }
}
