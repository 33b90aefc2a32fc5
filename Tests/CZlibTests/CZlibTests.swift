import CZlib
import Testing

@Suite("The system's zlib")
struct CZlibTests {
    @Test("raw deflate data inflates to its input, with the shim's initialisers")
    func rawDeflateRoundTrip() {
        var input = [UInt8](repeating: 0x61, count: 1_000) + Array("the end".utf8)
        var packed = [UInt8](repeating: 0, count: 2_000)
        var deflater = z_stream()
        #expect(culvert_deflate_init(&deflater, 6, 12, 5) == Z_OK)
        let packedCount = run(&deflater, &input, &packed) { deflate($0, Z_FINISH) }
        deflateEnd(&deflater)
        #expect(packedCount < input.count)

        var unpacked = [UInt8](repeating: 0, count: 2_000)
        var inflater = z_stream()
        #expect(culvert_inflate_init(&inflater, 12) == Z_OK)
        packed.removeLast(packed.count - packedCount)
        let unpackedCount = run(&inflater, &packed, &unpacked) { inflate($0, Z_FINISH) }
        inflateEnd(&inflater)
        #expect(Array(unpacked.prefix(unpackedCount)) == input)
    }

    private func run(
        _ stream: inout z_stream,
        _ input: inout [UInt8],
        _ output: inout [UInt8],
        _ step: (UnsafeMutablePointer<z_stream>) -> Int32
    ) -> Int {
        input.withUnsafeMutableBufferPointer { input in
            output.withUnsafeMutableBufferPointer { output in
                stream.next_in = input.baseAddress
                stream.avail_in = UInt32(input.count)
                stream.next_out = output.baseAddress
                stream.avail_out = UInt32(output.count)
                #expect(step(&stream) == Z_STREAM_END)
                return output.count - Int(stream.avail_out)
            }
        }
    }
}
