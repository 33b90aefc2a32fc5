import Platform

/// The system's pacparser, loaded when it is asked for: the functions of proxy scripts on top of an old SpiderMonkey.
///
/// A script can crash it, so it only ever runs in ``EvaluateCommand``'s process. It says on standard error what is wrong
/// with a script.
struct PacparserEngine {
    private typealias Start = @convention(c) () -> Int32
    private typealias SetAddress = @convention(c) (UnsafePointer<CChar>) -> Int32
    private typealias Parse = @convention(c) (UnsafeRawPointer?) -> Int32
    private typealias Find =
        @convention(c) (UnsafePointer<CChar>, UnsafePointer<CChar>) -> UnsafeMutablePointer<CChar>?

    private static let names = ["libpacparser.so.1", "libpacparser.so", "libpacparser.dylib"]

    /// What scripts expect besides: browsers have `alert` for debugging, and the engine does not. On the script's own
    /// first line, so that its lines count as they are; a script's own function of that name takes its place.
    private static let prelude = Array("function alert() {} ".utf8)

    private let start: Start
    private let setAddress: SetAddress
    private let parse: Parse
    private let find: Find

    /// Nil where the library is not there, or is another one of that name.
    init?() {
        guard let library = Self.names.lazy.compactMap({ dlopen($0, RTLD_NOW | RTLD_LOCAL) }).first,
            let start = dlsym(library, "pacparser_init"), let setAddress = dlsym(library, "pacparser_setmyip"),
            let parse = dlsym(library, "pacparser_parse_pac_string"), let find = dlsym(library, "pacparser_find_proxy")
        else { return nil }
        // The types are those of its header, which all versions share.
        self.start = unsafeBitCast(start, to: Start.self)
        self.setAddress = unsafeBitCast(setAddress, to: SetAddress.self)
        self.parse = unsafeBitCast(parse, to: Parse.self)
        self.find = unsafeBitCast(find, to: Find.self)
    }

    /// What `FindProxyForURL(url, host)` of the script returns; nil where standard error has the reason.
    ///
    /// Once in a process, and nothing is freed: the process ends with it.
    func answer(of script: [UInt8], url: String, host: String) -> [UInt8]? {
        // Left to itself it looks up this machine's name, which is 127.0.1.1 on many; scripts ask for the network.
        if let address = Self.ownAddress() { _ = setAddress(address) }
        guard start() != 0 else { return nil }
        let isRead = (Self.prelude + script + [0]).withUnsafeBytes { parse($0.baseAddress) != 0 }
        guard isRead, let answer = find(url, host) else { return nil }
        return Array(UnsafeRawBufferPointer(start: answer, count: strlen(answer)))
    }

    /// The IPv4 address with which this machine goes to the internet; nil where it has no way there.
    private static func ownAddress() -> String? {
        #if canImport(Glibc)
        let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        #else
        let descriptor = socket(AF_INET, SOCK_DGRAM, 0)
        #endif
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        // An address that belongs to nobody (RFC 5737). To connect a datagram socket chooses a route and sends nothing.
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = UInt16(9).bigEndian
        name.sin_addr.s_addr = UInt32(0xC000_0201).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isKnown = withUnsafeMutablePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
            }
        }
        guard isKnown, name.sin_addr.s_addr != 0 else { return nil }
        let value = UInt32(bigEndian: name.sin_addr.s_addr)
        return stride(from: 24, through: 0, by: -8).map { "\(value >> UInt32($0) & 0xFF)" }.joined(separator: ".")
    }
}
