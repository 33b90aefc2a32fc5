/// How large a head may be. A head at a limit is read, one past it is refused as soon as that is certain.
public struct HeadLimits: Sendable, Equatable {
    /// Bytes of the whole head, line ends and the closing empty line included.
    public var maximumBytes: Int
    /// Number of fields.
    public var maximumFields: Int
    /// Bytes of one line without its line end.
    public var maximumLineBytes: Int

    /// Limits as given. A number below 1 lets nothing through; it never means "unlimited".
    public init(maximumBytes: Int, maximumFields: Int, maximumLineBytes: Int) {
        self.maximumBytes = maximumBytes
        self.maximumFields = maximumFields
        self.maximumLineBytes = maximumLineBytes
    }

    /// For requests from strangers: 16 KiB, 64 fields, 8 KiB a line. Four times what a front with its forwarding
    /// fields and a browser's cookies send, and little enough to hold for each unauthenticated connection.
    public static let request = HeadLimits(maximumBytes: 16 * 1024, maximumFields: 64, maximumLineBytes: 8 * 1024)

    /// For answers of proxies and servers that we dialled: 64 KiB, 512 fields, lines up to the whole head. Kerberos
    /// tokens, cookies and security policies make some answers large.
    public static let response = HeadLimits(maximumBytes: 64 * 1024, maximumFields: 512, maximumLineBytes: 64 * 1024)
}
