/** What a peer has sent, with its namespaces resolved. Built by `XmlReader`, read by everybody else. */
export class XmlElement {
  readonly children: (XmlElement | string)[] = [];

  constructor(
    /** Without its prefix. */
    readonly name: string,
    readonly namespace: string,
    /** Name, value, name, value, … as written (`xml:lang` keeps its prefix), declarations of namespaces left out. */
    private readonly attributes: readonly string[],
  ) {}

  /** Null when it is not there. */
  attribute(name: string): string | null {
    const { attributes } = this;
    for (let i = 0; i < attributes.length; i += 2) {
      if (attributes[i] === name) return attributes[i + 1] ?? null;
    }
    return null;
  }

  is(name: string, namespace: string): boolean {
    return this.name === name && this.namespace === namespace;
  }

  /** The first of this name, in this element's namespace unless another one is named. */
  child(name: string, namespace = this.namespace): XmlElement | null {
    for (const child of this.children) {
      if (typeof child !== 'string' && child.name === name && child.namespace === namespace) return child;
    }
    return null;
  }

  elements(): XmlElement[] {
    return this.children.filter((child) => typeof child !== 'string');
  }

  /** The text directly in it, without that of its children. */
  text(): string {
    const { children } = this;
    if (children.length === 1 && typeof children[0] === 'string') return children[0];
    return children.filter((child) => typeof child === 'string').join('');
  }
}
