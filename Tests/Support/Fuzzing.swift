import Foundation

/// A small generator of reproducible numbers (Steele, Lea and Flood 2014).
public struct SplitMix64: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// Creates a generator. The same state gives the same numbers.
    public init(state: UInt64) {
        self.state = state
    }

    /// The next number.
    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// Seeded mutation fuzzing for the fuzz tests of all modules.
public enum Fuzzing {
    /// The duration of each fuzz test: 1 s, or `CULVERT_FUZZ_SECONDS`.
    public static var time: Duration {
        .seconds(ProcessInfo.processInfo.environment["CULVERT_FUZZ_SECONDS"].flatMap(Int.init) ?? 1)
    }

    /// A generator with the same seed in each run, unless `CULVERT_FUZZ_SEED` is set.
    public static func generator(_ seed: UInt64) -> SplitMix64 {
        let other = ProcessInfo.processInfo.environment["CULVERT_FUZZ_SEED"].flatMap(UInt64.init) ?? 0
        return SplitMix64(state: seed ^ other)
    }

    /// A seed for a test that prints it: `CULVERT_FUZZ_SEED`, or a random one.
    public static var seed: UInt64 {
        ProcessInfo.processInfo.environment["CULVERT_FUZZ_SEED"].flatMap(UInt64.init) ?? .random(in: 0 ... .max)
    }

    /// Makes up to four random changes: replaces, flips, removes, inserts, truncates or repeats bytes.
    public static func mutate(_ bytes: [UInt8], _ random: inout SplitMix64) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<Int.random(in: 0...4, using: &random) where !bytes.isEmpty {
            let index = Int.random(in: bytes.indices, using: &random)
            switch Int.random(in: 0..<6, using: &random) {
            case 0: bytes[index] = .random(in: .min ... .max, using: &random)
            case 1: bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 2: bytes.remove(at: index)
            case 3:
                bytes.insert(
                    [0, 0x0A, 0x0D, 0x20, 0x7F, 0x80, 0xFE, 0xFF].randomElement(using: &random) ?? 0,
                    at: index
                )
            case 4: bytes.removeLast(Int.random(in: 0...bytes.count, using: &random))
            default: bytes.insert(contentsOf: bytes[..<index], at: Int.random(in: bytes.indices, using: &random))
            }
        }
        return bytes
    }

    /// Splits the bytes into random parts of at most 24.
    public static func cut(_ bytes: [UInt8], _ random: inout SplitMix64) -> [[UInt8]] {
        var pieces: [[UInt8]] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            let length = min(rest.count, Int.random(in: 1...24, using: &random))
            pieces.append(Array(rest.prefix(length)))
            rest = rest.dropFirst(length)
        }
        return pieces
    }

    /// The files of a folder below Fixtures, by name. A `.hex` file has hexadecimal digits, white space, and comment
    /// lines that begin with `#`.
    public static func corpus(_ folder: String) throws -> [(name: String, bytes: [UInt8])] {
        let url = try Fixture.url(folder)
        return try FileManager.default.contentsOfDirectory(atPath: url.path).sorted().map { name in
            let data = try Data(contentsOf: url.appendingPathComponent(name))
            guard name.hasSuffix(".hex") else { return (name, Array(data)) }
            let lines = String(decoding: data, as: UTF8.self).split(separator: "\n").filter { !$0.hasPrefix("#") }
            let digits = lines.joined().filter { !$0.isWhitespace }.compactMap(\.hexDigitValue)
            return (name, stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) })
        }
    }
}
