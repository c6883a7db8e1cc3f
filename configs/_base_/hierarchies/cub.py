# Order, family and species of the birds of CUB-200-2011, compiled from the usual taxonomy: 13
# orders and 37 families. The list that DANet was trained with has 11 and 37, and may differ in
# more than the orders. Classes are counted from 0.
hierarchy = dict(
    Procellariiformes=dict(
        Diomedeidae=[*range(0, 3)],
        Procellariidae=[44]),
    Cuculiformes=dict(Cuculidae=[3, *range(30, 33), 109]),
    Charadriiformes=dict(
        Alcidae=[*range(4, 8), 57, 105],
        Laridae=[*range(58, 66), 83, *range(140, 147)],
        Stercorariidae=[70, 71]),
    Passeriformes=dict(
        Icteridae=[*range(8, 13), 25, 26, 48, 87, *range(94, 98)],
        Cardinalidae=[*range(13, 17), 53, 56, 138, 139],
        Ptilonorhynchidae=[17],
        Mimidae=[18, 90, 148, 149],
        Icteriidae=[19],
        Passerellidae=[20, 75, *range(112, 117), *range(118, 133), 147],
        Certhiidae=[27],
        Corvidae=[28, 29, *range(72, 75), 92, 106, 107],
        Fringillidae=[33, 34, 46, 47, 54, 55],
        Tyrannidae=[*range(36, 43), 76, 77, 101, 102],
        Alaudidae=[84],
        Sittidae=[93],
        Parulidae=[98, 108, *range(157, 184), 199],
        Motacillidae=[103],
        Laniidae=[110, 111],
        Passeridae=[117],
        Sturnidae=[133],
        Hirundinidae=[*range(134, 138)],
        Vireonidae=[*range(150, 157)],
        Bombycillidae=[184, 185],
        Troglodytidae=[*range(192, 199)]),
    Caprimulgiformes=dict(Caprimulgidae=[21, 91, 104]),
    Suliformes=dict(
        Phalacrocoracidae=[*range(22, 25)],
        Fregatidae=[43]),
    Piciformes=dict(Picidae=[35, *range(186, 192)]),
    Anseriformes=dict(Anatidae=[45, 86, 88, 89]),
    Podicipediformes=dict(Podicipedidae=[*range(49, 53)]),
    Apodiformes=dict(Trochilidae=[*range(66, 70)]),
    Coraciiformes=dict(Alcedinidae=[*range(78, 83)]),
    Gaviiformes=dict(Gaviidae=[85]),
    Pelecaniformes=dict(Pelecanidae=[99, 100]))
