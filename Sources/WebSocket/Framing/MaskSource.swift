/// The source of a client's masking keys: 32 fresh random bits for every frame.
///
/// The author of the payload must not be able to predict a key (RFC 6455, sections 5.3 and 10.3). Otherwise a page or
/// visitor could choose the bytes that a proxy sees and poison its cache. Keys therefore come from the system's random
/// source. One system call takes about 250 ns and yields 64 bits, which are two keys. Larger reads would save nothing
/// and keep keys in memory.
public struct MaskSource: Sendable {
    private var generator: any RandomNumberGenerator & Sendable
    private var spare: UInt32?

    /// Creates a source that uses the system's secure generator.
    public init() {
        generator = SystemRandomNumberGenerator()
    }

    /// Creates a source that uses another generator, for tests or for the caller's own secure source. A predictable
    /// generator removes the protection.
    public init(generator: some RandomNumberGenerator & Sendable) {
        self.generator = generator
    }

    /// Returns the next key, whose lowest byte is first on the wire.
    mutating func next() -> UInt32 {
        if let key = spare {
            spare = nil
            return key
        }
        let bits = generator.next()
        spare = UInt32(truncatingIfNeeded: bits >> 32)
        return UInt32(truncatingIfNeeded: bits)
    }
}
