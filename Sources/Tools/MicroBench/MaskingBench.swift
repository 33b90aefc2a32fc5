import Glibc
import WebSocket

/// Compares masking with memcpy on the same buffers, at an even and an odd address.
enum MaskingBench {
    struct Row {
        let size: Int
        /// Bytes from an aligned address at which both begin.
        let offset: Int
        let masking: Cost
        let memcpy: Cost
    }

    static func run() -> [Row] {
        [1_024, 16_384, 65_536].flatMap { size in [0, 1].map { row(size, offset: $0) } }
    }

    private static func row(_ size: Int, offset: Int) -> Row {
        let source = UnsafeMutableRawBufferPointer.allocate(byteCount: size + 64, alignment: 64)
        let target = UnsafeMutableRawBufferPointer.allocate(byteCount: size + 64, alignment: 64)
        defer {
            source.deallocate()
            target.deallocate()
        }
        source.initializeMemory(as: UInt8.self, repeating: 0x5A)
        let from = UnsafeRawBufferPointer(rebasing: source[offset..<offset + size])
        let to = UnsafeMutableRawBufferPointer(rebasing: target[offset..<offset + size])
        let costs = Stopwatch.compare([
            { mask(from, to) },
            { copy(from, to) },
        ])
        return Row(size: size, offset: offset, masking: costs[0], memcpy: costs[1])
    }

    @inline(never)
    private static func mask(_ from: UnsafeRawBufferPointer, _ to: UnsafeMutableRawBufferPointer) {
        Masking.copy(from, to: to, key: 0x3D21_FA37, phase: 0)
    }

    @inline(never)
    private static func copy(_ from: UnsafeRawBufferPointer, _ to: UnsafeMutableRawBufferPointer) {
        guard let source = from.baseAddress, let target = to.baseAddress else { return }
        memcpy(target, source, from.count)
    }
}
