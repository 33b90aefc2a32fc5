/// This end's wishes for permessage-deflate (RFC 7692), before negotiation.
///
/// Memory per connection: compressing takes 2^(window bits + 2) + 2^(memory level + 9) bytes, 256 KiB with the
/// defaults. Inflating takes 32 KiB with any window. Each takes about 7 KiB more, and inflating up to 4 KiB for the
/// last short chunk. Nothing is allocated before the first message that needs it.
///
/// A number outside its range is clamped to it.
///
/// Not enforced: the peer's window. Every window can be inflated.
///
/// The lengths of compressed data reveal something about it (CRIME, BREACH). If an attacker's data could share a window
/// with a secret, set both `noContextTakeover` options and send the two in separate messages.
public struct DeflateOptions: Sendable, Equatable {
    /// The widest window as an exponent of two: 15 stands for 32 KiB.
    public static let widestWindow = 15
    /// The narrowest window of RFC 7692. zlib can inflate it but not compress with it.
    public static let narrowestWindow = 8
    /// The narrowest window for compressing with zlib.
    static let narrowestForCompressing = 9
    /// The windows for compressing with zlib.
    static let windows = narrowestForCompressing...widestWindow

    /// Whether the server resets its compressor after each message. A client requests this; a server decides it.
    public var serverNoContextTakeover = false
    /// Whether the client resets its compressor after each message. A server decides this; a client announces it.
    public var clientNoContextTakeover = false
    /// The server's widest window, as an exponent from 9 to 15.
    public var serverMaxWindowBits = widestWindow {
        didSet { serverMaxWindowBits = serverMaxWindowBits.clamped(to: Self.windows) }
    }
    /// The client's widest window, as an exponent from 9 to 15.
    public var clientMaxWindowBits = widestWindow {
        didSet { clientMaxWindowBits = clientMaxWindowBits.clamped(to: Self.windows) }
    }
    /// zlib's level, 1 (fast) to 9 (small).
    public var level = 6 {
        didSet { level = level.clamped(to: 1...9) }
    }
    /// zlib's memory level, 1 to 9.
    public var memoryLevel = 8 {
        didSet { memoryLevel = memoryLevel.clamped(to: 1...9) }
    }
    /// Length below which messages are sent uncompressed, bytes.
    public var minimumBytes = 32

    /// Creates the defaults: the widest windows, kept between messages.
    public init() {}

    /// Options for data of several parties in one connection: windows are reset after each message, and memory is
    /// small.
    public static var isolated: DeflateOptions {
        var options = DeflateOptions()
        options.serverNoContextTakeover = true
        options.clientNoContextTakeover = true
        options.serverMaxWindowBits = 12
        options.clientMaxWindowBits = 12
        options.memoryLevel = 5
        options.level = 1
        options.minimumBytes = 128
        return options
    }
}

extension Int {
    fileprivate func clamped(to range: ClosedRange<Int>) -> Int {
        Swift.min(Swift.max(self, range.lowerBound), range.upperBound)
    }
}
