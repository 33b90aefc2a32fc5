/// PySocks, a SOCKS client library, with the Python that has it.
public enum PySocks {
    /// The Debian package.
    public static let package = library.package

    /// The interpreter that imports the library; nil if there is none.
    public static let interpreter = library.interpreter

    private static let library = PythonLibrary("socks", package: "python3-socks")
}
