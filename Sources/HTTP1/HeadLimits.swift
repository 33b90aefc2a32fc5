/// Limits on the size of a head. A head at a limit is accepted; one beyond it is refused as soon as that is certain.
public struct HeadLimits: Sendable, Equatable {
    /// Bytes of the whole head, including line ends and the final empty line.
    public var maximumBytes: Int
    /// Fields in the head.
    public var maximumFields: Int
    /// Bytes of one line without its line end.
    public var maximumLineBytes: Int

    /// Creates limits. A number below 1 admits nothing; it never means "unlimited".
    public init(maximumBytes: Int, maximumFields: Int, maximumLineBytes: Int) {
        self.maximumBytes = maximumBytes
        self.maximumFields = maximumFields
        self.maximumLineBytes = maximumLineBytes
    }

    /// Limits for requests from unknown clients: 16 KiB, 64 fields, 8 KiB per line. This is four times the size of a
    /// head with a front's forwarding fields and a browser's cookies. It is small enough to hold for each
    /// unauthenticated connection.
    public static let request = HeadLimits(maximumBytes: 16 * 1024, maximumFields: 64, maximumLineBytes: 8 * 1024)

    /// Limits for answers of proxies and servers that this process dialled: 64 KiB, 512 fields, lines as long as the
    /// head. Kerberos tokens, cookies and security policies make some answers large.
    public static let response = HeadLimits(maximumBytes: 64 * 1024, maximumFields: 512, maximumLineBytes: 64 * 1024)
}
