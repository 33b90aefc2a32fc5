/// What this end wants of permessage-deflate (RFC 7692), before anything is agreed.
///
/// Memory for each connection, once it is used: compressing takes 2^(window bits + 2) + 2^(memory level + 9) bytes,
/// 256 KiB with the defaults, and inflating 32 KiB, whatever the window; each of the two about 7 KiB more, and inflating
/// up to 4 KiB for the last short piece. Nothing of it is there before the first message that needs it.
///
/// A number out of its range is brought to the nearest end of it.
///
/// Not enforced: that the peer keeps to the window that was agreed. Whatever it is, we can inflate it.
///
/// Compression tells an observer of lengths something about what is compressed (CRIME, BREACH): where the data of
/// somebody who can choose it shares a window with a secret, ask for `noContextTakeover`, and put the two into messages
/// of their own.
public struct DeflateOptions: Sendable, Equatable {
    /// The widest window, as the exponent of two: 15, which is 32 KiB.
    public static let widestWindow = 15
    /// The narrowest window that RFC 7692 names. zlib can inflate it, but cannot compress with it.
    public static let narrowestWindow = 8
    /// The narrowest window that zlib compresses with.
    static let narrowestForCompressing = 9
    /// The windows that zlib compresses with.
    static let windows = narrowestForCompressing...widestWindow

    /// Whether the server's compressor begins anew with each message. A client's wish, a server's decision.
    public var serverNoContextTakeover = false
    /// Whether the client's compressor begins anew with each message. A server's decision, a client's hint.
    public var clientNoContextTakeover = false
    /// The widest window of the server's compressor, 9 to 15.
    public var serverMaxWindowBits = widestWindow {
        didSet { serverMaxWindowBits = serverMaxWindowBits.clamped(to: Self.windows) }
    }
    /// The widest window of the client's compressor, 9 to 15.
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
    /// Messages shorter than this are sent as they are, bytes.
    public var minimumBytes = 32

    /// The defaults: windows as wide as they go, kept from one message to the next.
    public init() {}

    /// Options for data of several parties in one connection: no window outlives its message, and little memory.
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

/// What both ends have agreed on about permessage-deflate (RFC 7692 section 7.1).
public struct DeflateAgreement: Sendable, Equatable {
    /// The server's compressor begins anew with each message.
    public var serverNoContextTakeover: Bool
    /// The client's compressor begins anew with each message.
    public var clientNoContextTakeover: Bool
    /// The server compresses with a window of at most 2 to this power bytes, 8 to 15.
    public var serverMaxWindowBits: Int
    /// The client compresses with a window of at most 2 to this power bytes, 8 to 15.
    public var clientMaxWindowBits: Int
    /// How our own compressor is set up.
    public var options: DeflateOptions

    /// How the messages of an end are compressed.
    func direction(from role: WebSocketRole) -> (noContextTakeover: Bool, windowBits: Int) {
        switch role {
        case .server: (serverNoContextTakeover, serverMaxWindowBits)
        case .client: (clientNoContextTakeover, clientMaxWindowBits)
        }
    }
}

extension Int {
    fileprivate func clamped(to range: ClosedRange<Int>) -> Int {
        Swift.min(Swift.max(self, range.lowerBound), range.upperBound)
    }
}
