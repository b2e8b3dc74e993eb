"""Kernels and bytes of programs whose counts can be told by hand."""

import pytest
from hlo import parse
from kernel_counts import TRITON, kernels

LOOPS = """HloModule example

%update (a: f32[8,64], b: f32[64], i: s32[]) -> f32[8,64] {
  %a = f32[8,64]{1,0} parameter(0)
  %b = f32[64]{0} parameter(1)
  %i = s32[] parameter(2)
  %zero = s32[] constant(0)
  %row = f32[1,64]{1,0} bitcast(%b)
  ROOT %out = f32[8,64]{1,0} dynamic-update-slice(%a, %row, %i, %zero)
}

%take (a: f32[8,64], i: s32[]) -> (f32[64], f32[64]) {
  %a = f32[8,64]{1,0} parameter(0)
  %i = s32[] parameter(1)
  %zero = s32[] constant(0)
  %row = f32[1,64]{1,0} dynamic-slice(%a, %i, %zero), dynamic_slice_sizes={1,64}
  %flat = f32[64]{0} bitcast(%row)
  %double = f32[64]{0} add(%flat, %flat)
  ROOT %pair = (f32[64]{0}, f32[64]{0}) tuple(%flat, %double)
}

%body (state: (s32[], f32[8,64])) -> (s32[], f32[8,64]) {
  %state = (s32[], f32[8,64]{1,0}) parameter(0)
  %i = s32[] get-tuple-element(%state), index=0
  %a = f32[8,64]{1,0} get-tuple-element(%state), index=1
  %pair = (f32[64]{0}, f32[64]{0}) fusion(%a, %i), kind=kLoop, calls=%take
  %double = f32[64]{0} get-tuple-element(%pair), index=1
  %more = f32[8,64]{1,0} fusion(%a, %double, %i), kind=kLoop, calls=%update
  ROOT %next = (s32[], f32[8,64]{1,0}) tuple(%i, %more)
}

ENTRY %main (a: f32[8,64], b: pred[]) -> f32[8,64] {
  %a = f32[8,64]{1,0} parameter(0)
  %i = s32[] constant(0)
  %state = (s32[], f32[8,64]{1,0}) tuple(%i, %a)
  %loop = (s32[], f32[8,64]{1,0}) while(%state), condition=%done, body=%body, \
backend_config={"known_trip_count":{"n":"8"},"other":"(unbalanced"}
  %end = f32[8,64]{1,0} get-tuple-element(%loop), index=1
  ROOT %copied = f32[8,64]{1,0} copy(%end)
}
"""
ROW, INDEX = 4 * 64, 4


def test_slices_and_updates_count_by_their_own_size():
    take, update, copy = kernels(parse(LOOPS))
    assert (take.num_bytes, update.num_bytes, copy.num_bytes) == (
        ROW + INDEX + 2 * ROW,
        ROW + INDEX + ROW,
        2 * 8 * ROW,
    )


def test_a_loop_repeats_its_kernels():
    take, update, copy = kernels(parse(LOOPS))
    assert [kernel.repeats for kernel in (take, update, copy)] == [8, 8, 1]
    assert [loop.name for loop in update.loops] == ["loop"]


DECODE = """HloModule decode

%body (state: (s32[], bf16[4,6,32], bf16[4,1,64,32], bf16[4,1,64,32])) -> (s32[], bf16[4,6,32]) {
  %state = (s32[], bf16[4,6,32], bf16[4,1,64,32], bf16[4,1,64,32]) parameter(0)
  %used = s32[] get-tuple-element(%state), index=0
  %heads = bf16[4,6,32]{2,1,0} get-tuple-element(%state), index=1
  %key = bf16[4,1,64,32]{3,2,1,0} get-tuple-element(%state), index=2
  %value = bf16[4,1,64,32]{3,2,1,0} get-tuple-element(%state), index=3
  %call = (bf16[4,4,32]{2,1,0}, bf16[4,1,64,32]{3,2,1,0}, bf16[4,1,64,32]{3,2,1,0}) \
custom-call(%used, %heads, %heads, %heads, %key, /*index=5*/%value), \
custom_call_target="TARGET", metadata={op_name="jit(f)/while/body/decode/pallas_call"}
  ROOT %next = (s32[], bf16[4,6,32]{2,1,0}) tuple(%used, %heads)
}

ENTRY %main (state: (s32[], bf16[4,6,32])) -> s32[] {
  %state = (s32[], bf16[4,6,32]{2,1,0}) parameter(0)
  %loop = (s32[], bf16[4,6,32]{2,1,0}) while(%state), condition=%done, body=%body, \
backend_config={"known_trip_count":{"n":"64"}}
  ROOT %used = s32[] get-tuple-element(%loop), index=0
}
"""


OF_CODES, OF_SCALES = "s8[4,1,64,32]", "bf16[4,1,64,1]"
DECODE_IN_8_BITS = f"""HloModule decode

%body (state: (s32[])) -> (s32[]) {{
  %state = (s32[]) parameter(0)
  %used = s32[] get-tuple-element(%state), index=0
  %heads = bf16[4,6,32] get-tuple-element(%state), index=1
  %new_codes = s8[4,1,32] get-tuple-element(%state), index=2
  %new_scale = bf16[4,1,1] get-tuple-element(%state), index=3
  %new_codes_2 = s8[4,1,32] get-tuple-element(%state), index=4
  %new_scale_2 = bf16[4,1,1] get-tuple-element(%state), index=5
  %codes = {OF_CODES} get-tuple-element(%state), index=6
  %scale = {OF_SCALES} get-tuple-element(%state), index=7
  %codes_2 = {OF_CODES} get-tuple-element(%state), index=8
  %scale_2 = {OF_SCALES} get-tuple-element(%state), index=9
  %call = (bf16[4,4,32], {", ".join([OF_CODES, OF_SCALES] * 2)}) \
custom-call(%used, %heads, %new_codes, %new_scale, %new_codes_2, %new_scale_2, %codes, %scale, \
%codes_2, %scale_2), \
custom_call_target="TARGET", metadata={{op_name="jit(f)/while/body/decode/pallas_call"}}
  ROOT %next = (s32[]) tuple(%used)
}}

ENTRY %main (state: (s32[])) -> s32[] {{
  %state = (s32[]) parameter(0)
  %loop = (s32[]) while(%state), condition=%done, body=%body, \
backend_config={{"known_trip_count":{{"n":"64"}}}}
  ROOT %used = s32[] get-tuple-element(%loop), index=0
}}
"""


def test_decoding_reads_the_slots_that_are_filled():
    """0 to 63 of them, and one is written."""
    (call,) = kernels(parse(DECODE.replace("TARGET", TRITON)))
    slot = 2 * 2 * 4 * 32
    assert call.num_bytes == INDEX + (31.5 + 1) * slot + 2 * 4 * (6 + 4) * 32


def test_decoding_reads_the_slots_that_are_seen():
    """Where it is said how many these are, since a rollout begins with kept ones."""
    (call,) = kernels(parse(DECODE.replace("TARGET", TRITON)), num_seen=20)
    slot = 2 * 2 * 4 * 32
    assert call.num_bytes == INDEX + (20 + 1) * slot + 2 * 4 * (6 + 4) * 32


CONDITIONAL = """HloModule example

%yes (a: f32[8]) -> f32[8] {
  %a = f32[8]{0} parameter(0)
  ROOT %copied = f32[8]{0} copy(%a)
}

%no (a: f32[8]) -> f32[8] {
  ROOT %a = f32[8]{0} parameter(0)
}

ENTRY %main (a: f32[8], b: pred[]) -> f32[8] {
  %a = f32[8]{0} parameter(0)
  %b = pred[] parameter(1)
  %first = f32[8]{0} negate(%a)
  ROOT %either = f32[8]{0} conditional(%b, %first, %first), true_computation=%yes, \
false_computation=%no
}
"""


def test_a_kernel_knows_the_conditionals_around_it():
    negate, copied = kernels(parse(CONDITIONAL))
    assert negate.conditionals == ()
    assert [each.name for each in copied.conditionals] == ["either"]


def test_in_8_bits_a_slot_is_codes_and_scales():
    (call,) = kernels(parse(DECODE_IN_8_BITS.replace("TARGET", TRITON)))
    slot = 2 * 4 * (32 + 2)
    assert call.num_bytes == INDEX + slot + (31.5 + 1) * slot + 2 * 4 * (6 + 4) * 32


def test_an_unknown_call_counts_all_its_arrays():
    (call,) = kernels(parse(DECODE.replace("TARGET", "another")))
    caches = 2 * 2 * 4 * 64 * 32
    assert call.num_bytes == 4 + 2 * caches + 2 * 4 * (6 + 4) * 32


def test_a_text_without_a_program_is_refused():
    with pytest.raises(ValueError, match="no ENTRY"):
        parse("HloModule nothing")
