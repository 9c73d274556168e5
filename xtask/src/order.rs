//! The functions of a wasm module, each once, in the order in which it compresses best.
//!
//! Generic functions over types of the same layout often compile to the same bytes, which no linker for wasm folds.
//!
//! Deflate finds again only what stood in the last 32 KiB, and wasm-bindgen writes functions by their size. Beside those
//! that it resembles, a copy of a generic function costs a fraction of itself: a twelfth less to upload, and nothing
//! that runs is changed. (What `wasm-opt -Oz` takes away was worth less than what it made unlike: a twelfth more.)

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;

use anyhow::{Context as _, Result};
use wasm_encoder::reencode::{Error, Reencode};
use wasm_encoder::{CodeSection, FunctionSection, Module};
use wasmparser::{CodeSectionReader, CustomSectionReader, FunctionSectionReader, Parser, Payload, TypeRef};

/// The same module without custom sections: each function once, and beside those that it resembles.
pub(crate) fn ordered(wasm: &[u8]) -> Result<Vec<u8>> {
    let mut wasm = wasm.to_vec();
    loop {
        let functions = Functions::of(&wasm)?;
        let firsts = functions.firsts();
        let distinct: Vec<usize> = (0..firsts.len()).filter(|own| firsts[*own] == *own).collect();
        if distinct.len() == firsts.len() {
            let order = by_likeness(&functions.bodies);
            return functions.written(&wasm, &order, &firsts);
        }
        // Those that called two copies of one function may be the same now.
        wasm = functions.written(&wasm, &distinct, &firsts)?;
    }
}

/// The functions of a module's own.
struct Functions<'a> {
    /// How many functions are imported: they are counted first.
    imported: u32,
    types: Vec<u32>,
    bodies: Vec<&'a [u8]>,
}

impl<'a> Functions<'a> {
    fn of(wasm: &'a [u8]) -> Result<Self> {
        let mut functions = Self { imported: 0, types: Vec::new(), bodies: Vec::new() };
        for payload in Parser::new(0).parse_all(wasm) {
            match payload? {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        functions.imported += u32::from(matches!(import?.ty, TypeRef::Func(_)));
                    }
                }
                Payload::FunctionSection(section) => {
                    functions.types = section.into_iter().collect::<Result<_, _>>()?;
                }
                Payload::CodeSectionEntry(body) => functions.bodies.push(body.as_bytes()),
                _ => {}
            }
        }
        Ok(functions)
    }

    /// For each function the first one that is the same to the last byte: nothing tells the two apart.
    fn firsts(&self) -> Vec<usize> {
        let mut known = HashMap::new();
        let own = self.types.iter().zip(&self.bodies).enumerate();
        own.map(|(function, of)| *known.entry(of).or_insert(function)).collect()
    }

    /// The module with the functions of `order` alone; whoever meant another one means its first.
    fn written(&self, wasm: &[u8], order: &[usize], firsts: &[usize]) -> Result<Vec<u8>> {
        let mut places = vec![0; firsts.len()];
        for (place, function) in (self.imported..).zip(order) {
            places[*function] = place;
        }
        let places: Vec<u32> = firsts.iter().map(|first| places[*first]).collect();
        let mut module = Module::new();
        Ordered { imported: self.imported, order, places: &places }
            .parse_core_module(&mut module, Parser::new(0), wasm)
            .context("a module that cannot be written again")?;
        Ok(module.finish())
    }
}

struct Ordered<'a> {
    /// How many functions are imported: they come first, and stay.
    imported: u32,
    order: &'a [usize],
    /// Where each function of the module's own has gone.
    places: &'a [u32],
}

impl Reencode for Ordered<'_> {
    type Error = Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, Error<Infallible>> {
        let own = function.checked_sub(self.imported).and_then(|own| self.places.get(own as usize));
        Ok(own.copied().unwrap_or(function))
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        let types = section.into_iter().collect::<Result<Vec<_>, _>>()?;
        for function in self.order {
            functions.function(self.type_index(types[*function])?);
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        let bodies = section.into_iter().collect::<Result<Vec<_>, _>>()?;
        for function in self.order {
            self.parse_function_body(code, bodies[*function].clone())?;
        }
        Ok(())
    }

    fn parse_custom_section(
        &mut self,
        _: &mut Module,
        _: CustomSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        Ok(())
    }
}

/// What compression sees at once.
const WINDOW: usize = 32_000;
/// Two functions share something where so many bytes in a row are the same.
const SHINGLE: usize = 6;
/// What more functions share than these says nothing.
const COMMON: usize = 200;

/// Greedily: next comes whoever shares most with what stands in the window, for its size.
fn by_likeness(bodies: &[&[u8]]) -> Vec<usize> {
    let (shingles, holders) = shingles(bodies);
    let weights: Vec<f64> = shingles.iter().map(|own| (as_real(own.len()) + 8.0).powf(-0.7)).collect();
    let mut shared = vec![0_usize; bodies.len()];
    let mut in_window = vec![0_usize; holders.len()];
    let (mut window, mut size) = (VecDeque::new(), 0);
    let mut left: Vec<usize> = (0..bodies.len()).collect();
    let mut order = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let gain = |function: usize| as_real(shared[function]) * weights[function];
        let next = (0..left.len())
            .max_by(|a, b| gain(left[*a]).total_cmp(&gain(left[*b])).then(b.cmp(a)))
            .map_or(0, |at| left.remove(at));
        order.push(next);
        window.push_back(next);
        size += bodies[next].len();
        for shingle in &shingles[next] {
            in_window[*shingle] += 1;
            if in_window[*shingle] == 1 {
                holders[*shingle].iter().for_each(|holder| shared[*holder] += 1);
            }
        }
        while size > WINDOW && window.len() > 1 {
            let Some(last) = window.pop_front() else { break };
            size -= bodies[last].len();
            for shingle in &shingles[last] {
                in_window[*shingle] -= 1;
                if in_window[*shingle] == 0 {
                    holders[*shingle].iter().for_each(|holder| shared[*holder] -= 1);
                }
            }
        }
    }
    order
}

/// Each function's shingles by number, and who holds each of them.
fn shingles(bodies: &[&[u8]]) -> (Vec<Vec<usize>>, Vec<Vec<usize>>) {
    let mut numbers: HashMap<&[u8], usize> = HashMap::new();
    let mut holders: Vec<Vec<usize>> = Vec::new();
    let mut all = Vec::with_capacity(bodies.len());
    for (function, body) in bodies.iter().enumerate() {
        let mut own = Vec::new();
        for shingle in body.windows(SHINGLE) {
            let number = *numbers.entry(shingle).or_insert_with(|| {
                holders.push(Vec::new());
                holders.len() - 1
            });
            if holders[number].last() != Some(&function) {
                holders[number].push(function);
                own.push(number);
            }
        }
        all.push(own);
    }
    for held in &mut holders {
        if held.len() > COMMON {
            held.clear();
        }
    }
    (all, holders)
}

#[expect(clippy::cast_precision_loss, reason = "sizes of functions are far below 2^52")]
fn as_real(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use wasm_encoder::{
        CodeSection, ExportKind, ExportSection, Function, FunctionSection, Instruction, Module, TypeSection,
        ValType,
    };
    use wasmparser::{Operator, Parser, Payload, Validator};

    use super::*;

    /// Functions that answer constants, then two that call the first and the second of them. The first, the second and the
    /// fourth are exported.
    fn module(constants: &[i64]) -> Vec<u8> {
        let mut types = TypeSection::new();
        types.ty().function([], [ValType::I64]);
        let (mut functions, mut code, mut exports) =
            (FunctionSection::new(), CodeSection::new(), ExportSection::new());
        let answers = constants.iter().map(|constant| Instruction::I64Const(*constant));
        for instruction in answers.chain([Instruction::Call(0), Instruction::Call(1)]) {
            let mut body = Function::new([]);
            body.instruction(&instruction).instruction(&Instruction::End);
            functions.function(0);
            code.function(&body);
        }
        for (name, function) in [("first", 0), ("second", 1), ("fourth", 3)] {
            exports.export(name, ExportKind::Func, function);
        }
        let mut module = Module::new();
        module.section(&types).section(&functions).section(&exports).section(&code);
        module.finish()
    }

    /// What each function does first, and which ones are exported.
    fn read(wasm: &[u8]) -> (Vec<Operator<'_>>, Vec<usize>) {
        Validator::new().validate_all(wasm).unwrap();
        let (mut bodies, mut exports) = (Vec::new(), Vec::new());
        for payload in Parser::new(0).parse_all(wasm) {
            match payload.unwrap() {
                Payload::ExportSection(section) => {
                    exports.extend(section.into_iter().map(|export| export.unwrap().index as usize));
                }
                Payload::CodeSectionEntry(body) => {
                    bodies.push(body.get_operators_reader().unwrap().read().unwrap());
                }
                _ => {}
            }
        }
        (bodies, exports)
    }

    #[test]
    fn what_is_alike_stands_together_and_every_index_follows() {
        let wasm = ordered(&module(&[0x0123_4567_89ab, 7, 0x0123_4567_89ac, 8])).unwrap();
        let (bodies, exports) = read(&wasm);
        let constant = |at: usize| match bodies[at] {
            Operator::I64Const { value } => value,
            _ => -1,
        };
        let alike: Vec<usize> = (0..bodies.len()).filter(|at| constant(*at) > 8).collect();
        assert_eq!(alike[1], alike[0] + 1, "{bodies:?}");
        let exported: Vec<i64> = exports.iter().map(|at| constant(*at)).collect();
        assert_eq!(exported, [0x0123_4567_89ab, 7, 8]);
        for called in &exports[..2] {
            let function_index = u32::try_from(*called).unwrap();
            assert!(bodies.contains(&Operator::Call { function_index }), "{bodies:?}");
        }
    }

    #[test]
    fn what_is_the_same_is_there_once_and_so_are_its_callers() {
        let wasm = ordered(&module(&[7, 7, 7, 8])).unwrap();
        let (bodies, exports) = read(&wasm);
        assert_eq!(bodies.len(), 3, "{bodies:?}");
        assert_eq!(exports[0], exports[1]);
        assert_eq!(bodies[exports[0]], Operator::I64Const { value: 7 });
        assert_eq!(bodies[exports[2]], Operator::I64Const { value: 8 });
    }
}
